"""Write the CPU lane intrinsics as LLVM IR and assemble them (`make intrinsics`).

    python -m aat.kernels.lanes.generate            rewrites kernels/lanes/intrinsics/*.bc
    python -m aat.kernels.lanes.generate --check    compares, exit code 1 when they differ
    python -m aat.kernels.lanes.generate --show fma_s_v16f32

One module a function: Taichi reads a module anew at each call of one of its functions, so small ones compile faster.

Why IR: Taichi's CPU code generator neither fuses `a * b + c` nor takes vectors in `exp`, `log`, `tanh` or `cast`
(docs/kernels/attention_forward.md). Every argument is a pointer to a local variable of the kernel; `alwaysinline`
and SROA turn the calls into registers. The text holds typed pointers because Taichi 1.7.4 embeds LLVM 15.

The elementary functions follow the classical scheme (Muller, *Elementary Functions*, 3rd ed., ch. 11): reduce the
argument exactly, evaluate a polynomial, rebuild. Coefficients not named by a series are weighted minimax fits, the
largest relative fit error stands beside them. Subnormal results and arguments count as zero.
"""
import argparse
import hashlib
import struct
import subprocess
import sys
import tempfile
from fractions import Fraction
from math import comb, factorial
from pathlib import Path

from aat.kernels.lanes import generate_functions, generate_memory, transfers

FOLDER = Path(__file__).parent / "intrinsics"
BITS = (512, 256, 128)                       # vector registers: AVX-512, AVX2, SSE/NEON
MAGIC = {"float": 12582912.0, "double": 6755399441055744.0}      # 1.5 * 2^(mantissa bits): x + MAGIC is rounded x
MANTISSA = {"float": 23, "double": 52}
EXP_RANGE = {"float": (-87.33654, 88.72283), "double": (-708.39641853226, 709.782712893384)}   # normal results only
LN2_HIGH = {"float": 0.693359375, "double": 0.693147180369123816490}      # trailing zeros: n * LN2_HIGH is exact
LN2 = 0.69314718055994530941723212145818
LN2_LOW = {"float": -2.12194440054690583e-4, "double": 1.90821492927058770002e-10}
EXP_TAIL = {                                 # (e^f - 1 - f) / f^2 on |f| <= ln2 / 2
    "float": (0.49999993451189934, 0.16666520684764335, 0.04166838746536442, 0.008368710295652216,
              0.0013814608282073182),        # error 3.1e-9 of e^f
    "double": tuple(1 / factorial(n) for n in range(2, 15)),      # Taylor: the next term is < 2e-19 of e^f
}
EXP2_F32 = (1.0, 0.693146977581999, 0.24022242074212832, 0.05550733767871797, 0.00967151315164273,
            0.0013264719796772509)           # 2^f on |f| <= 1/2, error 9.1e-8 of 2^f
TANH_F32 = (-0.3333328193792345, 0.1333144210726264, -0.05373970852450034, 0.02063906816945474,
            -0.005704967631955516)           # (tanh x / x - 1) / x^2 on |x| <= 0.625, error 4.4e-9 of tanh x / x


def _tanh_series(terms):
    """Coefficients of (tanh x / x - 1) / x^2 in x^2, from the Bernoulli numbers."""
    bernoulli = [Fraction(1)]
    for n in range(1, 2 * terms + 4):
        bernoulli.append(-sum((comb(n + 1, k) * bernoulli[k] for k in range(n)), Fraction(0)) / (n + 1))
    return [float(Fraction(4**n * (4**n - 1), factorial(2 * n)) * bernoulli[2 * n]) for n in range(2, terms + 2)]


class Emitter:
    """A function under construction: three-address code with the vector type filled in."""

    def __init__(self, scalar, width):
        self.scalar, self.width, self.count, self.lines = scalar, width, 0, []
        self.vector = scalar if width == 1 else f"<{width} x {scalar}>"
        integer = {"float": "i32", "double": "i64"}[scalar]
        self.integer = integer if width == 1 else f"<{width} x {integer}>"
        self.mask = f"<{width} x i1>"

    def emit(self, text):
        self.count += 1
        self.lines.append(f"  %t{self.count} = {text}")
        return f"%t{self.count}"

    def const(self, x):
        """A splat literal; LLVM writes floats as the hexadecimal double that holds them exactly."""
        if self.scalar == "float":
            x = struct.unpack("f", struct.pack("f", x))[0]
        word = struct.unpack("Q", struct.pack("d", x))[0]
        return "<" + ", ".join([f"{self.scalar} 0x{word:016X}"] * self.width) + ">"

    def iconst(self, x):
        kind = self.integer.split(" x ")[1][:-1]
        return "<" + ", ".join([f"{kind} {x}"] * self.width) + ">"

    def load(self, pointer, kind=None):
        kind = kind or self.vector
        return self.emit(f"load {kind}, {kind}* {pointer}")

    def op(self, name, a, b):
        return self.emit(f"{name} {self.vector} {a}, {b}")

    def iop(self, name, a, b):
        return self.emit(f"{name} {self.integer} {a}, {b}")

    def call(self, name, *args):
        suffix = f"v{self.width}f{32 if self.scalar == 'float' else 64}"
        arguments = ", ".join(f"{self.vector} {a}" for a in args)
        return self.emit(f"call {self.vector} @llvm.{name}.{suffix}({arguments})")

    def fma(self, a, b, c):
        return self.call("fma", a, b, c)

    def compare(self, predicate, a, b):
        return self.emit(f"fcmp {predicate} {self.vector} {a}, {b}")

    def select(self, mask, a, b):
        return self.emit(f"select {self.mask} {mask}, {self.vector} {a}, {self.vector} {b}")

    def to_int(self, a):
        return self.emit(f"bitcast {self.vector} {a} to {self.integer}")

    def to_float(self, a):
        return self.emit(f"bitcast {self.integer} {a} to {self.vector}")

    def splat(self, pointer):
        value = self.load(pointer, self.scalar)
        first = self.emit(f"insertelement {self.vector} undef, {self.scalar} {value}, i32 0")
        lanes = f"<{self.width} x i32> zeroinitializer"
        return self.emit(f"shufflevector {self.vector} {first}, {self.vector} undef, {lanes}")

    def horner(self, x, coefficients):
        total = self.const(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            total = self.fma(total, x, self.const(c))
        return total


def exp_core(e, x, base2=False):
    """e^x (2^x) for x in the normal range; exact 1 at 0. NaN stays NaN through the polynomial's f."""
    low, high = EXP_RANGE[e.scalar]
    if base2:
        low, high = (-126.0, 128.0) if e.scalar == "float" else (-1022.0, 1024.0)
    under, over = e.compare("olt", x, e.const(low)), e.compare("ogt", x, e.const(high))
    clamped = e.select(under, e.const(low), e.select(over, e.const(high), x))
    magic = e.const(MAGIC[e.scalar])
    if base2:
        shifted = e.op("fadd", clamped, magic)
        f = e.op("fmul", e.op("fsub", clamped, e.op("fsub", shifted, magic)), e.const(LN2))
    else:
        shifted = e.fma(clamped, e.const(1 / LN2), magic)
        n = e.op("fsub", shifted, magic)
        f = e.fma(n, e.const(-LN2_HIGH[e.scalar]), clamped)
        f = e.fma(n, e.const(-LN2_LOW[e.scalar]), f)
    p = e.horner(f, (1.0, 1.0, *EXP_TAIL[e.scalar]))
    # n is as large as 128 at the upper end, where one shift of the exponent would overflow: scale in two halves.
    n_int = e.iop("sub", e.to_int(shifted), e.to_int(magic))
    half = e.iop("ashr", n_int, e.iconst(1))
    rest = e.iop("sub", n_int, half)
    for part in (half, rest):
        p = e.to_float(e.iop("add", e.to_int(p), e.iop("shl", part, e.iconst(MANTISSA[e.scalar]))))
    result = e.select(under, e.const(0.0), e.select(over, e.const(float("inf")), p))
    return e.select(e.compare("uno", x, x), x, result)


def exp_negative(e, x):
    """e^x for x <= 0 or NaN, the softmax case, in 12 instructions for floats.

    Floats go through 2^(x log2 e): the rounded constant costs |x| e^x 2^-25 < 1.1e-8 of the largest weight, 1, and two
    multiply-adds fewer than an exact reduction are 2 % of the kernel (2026-11). The magic number carries
    the exponent bias, so the low bits of the rounded sum are n + bias: shifted into place they
    are 2^n, and at n = -bias they are 0, which flushes what is below the normal range without a compare.
    """
    bias, low = {"float": (127.0, -87.9), "double": (1023.0, -708.9)}[e.scalar]       # low rounds to n = -bias
    clamped = e.select(e.compare("olt", x, e.const(low)), e.const(low), x)            # one max; NaN passes
    magic = e.const(MAGIC[e.scalar] + bias)
    if e.scalar == "float":
        shifted = e.fma(clamped, e.const(1 / LN2), magic)
        f = e.fma(clamped, e.const(1 / LN2), e.op("fsub", magic, shifted))
        power = e.horner(f, EXP2_F32)
    else:
        shifted = e.fma(clamped, e.const(1 / LN2), magic)
        n = e.op("fsub", shifted, magic)
        f = e.fma(n, e.const(-LN2_LOW[e.scalar]), e.fma(n, e.const(-LN2_HIGH[e.scalar]), clamped))
        power = e.horner(f, (1.0, 1.0, *EXP_TAIL[e.scalar]))
    scale = e.to_float(e.iop("shl", e.to_int(shifted), e.iconst(MANTISSA[e.scalar])))
    return e.op("fmul", power, scale)


def log_core(e, x):
    """ln x by x = 2^n m, m in [sqrt(1/2), sqrt 2), ln m = 2 artanh(s), s = (m-1)/(m+1), |s| <= 0.1716."""
    mantissa = MANTISSA[e.scalar]
    bits = e.to_int(x)
    sqrt_half = e.to_int(e.const(0.5**0.5))
    shifted = e.iop("sub", bits, sqrt_half)
    n_int = e.iop("ashr", shifted, e.iconst(mantissa))
    m = e.to_float(e.iop("sub", bits, e.iop("shl", n_int, e.iconst(mantissa))))
    n = e.emit(f"sitofp {e.integer} {n_int} to {e.vector}")
    one = e.const(1.0)
    s = e.op("fdiv", e.op("fsub", m, one), e.op("fadd", m, one))
    terms = 5 if e.scalar == "float" else 12               # 0.1716^(2 terms) / (2 terms + 1) < 2^-(mantissa + 2)
    square = e.op("fmul", s, s)
    tail = e.horner(square, [2.0 / (2 * k + 1) for k in range(1, terms + 1)])
    log_m = e.fma(e.op("fmul", square, s), tail, e.op("fadd", s, s))
    result = e.fma(n, e.const(LN2_HIGH[e.scalar]), e.fma(n, e.const(LN2_LOW[e.scalar]), log_m))
    smallest = e.const(2.0**-126 if e.scalar == "float" else 2.0**-1022)
    result = e.select(e.compare("oeq", x, e.const(float("inf"))), x, result)
    result = e.select(e.compare("olt", x, smallest), e.const(float("-inf")), result)
    nan = e.const(float("nan"))
    return e.select(e.compare("ult", x, e.const(0.0)), nan, result)


def tanh_core(e, x):
    """Odd polynomial near 0 (relative accuracy), 1 - 2 / (e^2|x| + 1) beyond."""
    size = e.call("fabs", x)
    edge, series = (0.625, TANH_F32) if e.scalar == "float" else (0.3, _tanh_series(11))
    z = e.op("fmul", x, x)
    small = e.fma(e.op("fmul", z, x), e.horner(z, series), x)
    power = exp_core(e, e.op("fadd", size, size))
    far = e.op("fsub", e.const(1.0), e.op("fdiv", e.const(2.0), e.op("fadd", power, e.const(1.0))))
    far = e.call("copysign", far, x)
    return e.select(e.compare("olt", size, e.const(edge)), small, far)


def _function(scalar, width, name, inputs, results, body):
    """One intrinsic. A letter for the kind of each argument and result, all by pointer; the result "-" updates the last
    argument."""
    e = Emitter(scalar, width)
    kinds = {"s": scalar, "a": "i64", "v": e.vector, "j": "i32", "b": f"<{width} x i32>"}
    names = [f"%a{n}" for n in range(len(inputs))]
    values = body(e, *names)
    values = values if isinstance(values, list) else [values]
    parameters = [f"{kinds[k]}* {n}" for k, n in zip(inputs, names, strict=True)]
    if not results:
        values = []
    if results == "-":
        e.lines.append(f"  store {e.vector} {values[0]}, {e.vector}* {names[-1]}")
    else:
        for n, (kind, value) in enumerate(zip(results, values, strict=True)):
            parameters.append(f"{kinds[kind]}* %o{n}")
            e.lines.append(f"  store {kinds[kind]} {value}, {kinds[kind]}* %o{n}")
    head = f"define void @{name}({', '.join(parameters)}) alwaysinline {{"
    return "\n".join([head, *e.lines, "  ret void", "}", ""])


def _keep(e, s, j, low, high):
    """s where low <= j < high, else -inf. The bounds are i32 lanes, j one i32."""
    wide = f"<{e.width} x i32>"
    first = e.emit(f"insertelement {wide} undef, i32 {e.load(j, 'i32')}, i32 0")
    js = e.emit(f"shufflevector {wide} {first}, {wide} undef, <{e.width} x i32> zeroinitializer")
    above = e.emit(f"icmp sge {wide} {js}, {e.load(low, wide)}")
    below = e.emit(f"icmp slt {wide} {js}, {e.load(high, wide)}")
    inside = e.emit(f"and {e.mask} {above}, {below}")
    return e.select(inside, e.load(s), e.const(float("-inf")))


def _any_nonzero(e, x):
    """1 where some lane is not 0 (a NaN is not), else 0."""
    lanes = e.emit(f"bitcast {e.mask} {e.compare('une', x, e.const(0.0))} to i{e.width}")
    return e.emit(f"zext i1 {e.emit(f'icmp ne i{e.width} {lanes}, 0')} to i32")


def _bucket(e, x, low, high):
    """The float whose bits are the integer part of x, limited to low .. high, above 19 zeros: (1 + f / 16) 2^(n - 127)
    for 16 n + f. NaN counts as high."""
    x, low, high = e.load(x), e.splat(low), e.splat(high)
    below = e.select(e.compare("olt", x, high), x, high)
    limited = e.select(e.compare("ogt", below, low), below, low)
    whole = e.emit(f"fptosi {e.vector} {limited} to {e.integer}")
    return e.to_float(e.iop("shl", whole, e.iconst(19)))


def table(scalar, width):
    """{name: (argument kinds, result kinds, body)} of every intrinsic for a scalar type ("float" or "double")."""
    def unary(core):
        return lambda e, x: core(e, e.load(x))

    return {
        "fma_s": ("svv", "-", lambda e, s, b, acc: e.fma(e.splat(s), e.load(b), e.load(acc))),
        "fma_v": ("vvv", "-", lambda e, a, b, acc: e.fma(e.load(a), e.load(b), e.load(acc))),
        "exp_sub": ("vv", "v", lambda e, x, m: exp_negative(e, e.op("fsub", e.load(x), e.load(m)))),
        "exp": ("v", "v", unary(exp_core)),
        "exp2": ("v", "v", unary(lambda e, x: exp_core(e, x, base2=True))),
        "log": ("v", "v", unary(log_core)),
        "log2": ("v", "v", unary(lambda e, x: e.op("fmul", log_core(e, x), e.const(1 / LN2)))),
        "sqrt": ("v", "v", unary(lambda e, x: e.call("sqrt", x))),
        "tanh": ("v", "v", unary(tanh_core)),
        "max": ("vv", "v", lambda e, a, b: _maximum(e, e.load(a), e.load(b))),
        "nonfinite": ("v", "v", unary(lambda e, x: e.select(
            e.compare("une", e.op("fsub", x, x), e.const(0.0)), e.const(1.0), e.const(0.0)))),
        "any_nonzero": ("v", "j", unary(_any_nonzero)),
        "keep": ("vjbb", "v", _keep),
        **({"bucket": ("vss", "v", _bucket)} if scalar == "float" else {}),
        "where_equal": ("vsvv", "v", lambda e, x, s, a, b: e.select(
            e.compare("oeq", e.load(x), e.splat(s)), e.load(a), e.load(b))),
        "where_less": ("vvvv", "v", lambda e, x, y, a, b: e.select(
            e.compare("olt", e.load(x), e.load(y)), e.load(a), e.load(b))),
        **generate_functions.table(unary),
        **transfers.table(scalar, width),
        **_memory_table(scalar, width),
    }


def _memory_table(scalar, width):
    """generate_memory's entries: their result kind stands behind those of the arguments, "0" for none."""
    entries = generate_memory.table(scalar, width, _maximum).items()
    return {name: (kinds[:-1], kinds[-1].replace("0", ""), body) for name, (kinds, body) in entries}


def sources(bits, scalar):
    """{function name: its module as IR} for one register width and scalar type."""
    width = bits // (32 if scalar == "float" else 64)
    suffix = f"v{width}f{32 if scalar == 'float' else 64}"
    vector = f"<{width} x {scalar}>"
    head = [f"; Written by kernels/lanes/generate.py: {width} lanes of {scalar}. Do not edit.",
            'target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-f80:128-n8:16:32:64-S128"',
            'target triple = "x86_64-pc-linux-gnu"', ""]
    for name, arity in (("fma", 3), ("sqrt", 1), ("fabs", 1), ("copysign", 2)):
        head.append(f"declare {vector} @llvm.{name}.{suffix}(" + ", ".join([vector] * arity) + ")")
    head += [f"declare void @llvm.x86.sse.{name}(i8*)" for name in ("ldmxcsr", "stmxcsr")]
    head += generate_memory.declarations(scalar, width)
    return {f"{name}_{suffix}": "\n".join([*head, "", _function(scalar, width, f"{name}_{suffix}", *entry)])
            for name, entry in table(scalar, width).items()}


def _maximum(e, a, b):
    """a where a > b, else b: one instruction on x86; a NaN in b stays, a NaN in a gives b."""
    return e.select(e.compare("ogt", a, b), a, b)


def file_name(function, text):
    """The bitcode's file name carries its content: Taichi's cache of compiled kernels is keyed by it."""
    return f"{function}_{hashlib.sha256(text.encode()).hexdigest()[:12]}.bc"


def every():
    """{function name: IR} of all widths and scalar types."""
    both = ("float", "double")
    return {name: text for bits in BITS for scalar in both for name, text in sources(bits, scalar).items()}


def assemble(text, assembler):
    """Bitcode of one module. LLVM 15 with typed pointers, whatever its default."""
    with tempfile.TemporaryDirectory() as folder:
        # The module's name is part of the bitcode: a fixed one keeps the bytes reproducible.
        Path(folder, "lanes.ll").write_text(text)
        subprocess.run([assembler, "-opaque-pointers=0", "lanes.ll", "-o", "lanes.bc"], cwd=folder, check=True)
        return Path(folder, "lanes.bc").read_bytes()


def main(argv=None):
    """Write the intrinsics, or compare them with `--check`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with what is on disk, write nothing")
    parser.add_argument("--show", metavar="FUNCTION", help="print the IR of one function")
    parser.add_argument("--assembler", default="llvm-as-15", help="an llvm-as of LLVM 15 (Debian: llvm-15)")
    options = parser.parse_args(argv)
    if options.show:
        sys.stdout.write(every()[options.show])
        return
    wanted = {file_name(name, text): assemble(text, options.assembler) for name, text in every().items()}
    if options.check:
        stale = [n for n, data in wanted.items() if not (FOLDER / n).exists() or (FOLDER / n).read_bytes() != data]
        stale += [p.name for p in FOLDER.iterdir() if p.name not in wanted]
        if stale:
            sys.exit(f"stale: {', '.join(sorted(stale))}; run make intrinsics")
        return
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for name, data in wanted.items():
        (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
