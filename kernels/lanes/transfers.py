"""The lane intrinsics that move numbers between memory and lanes, as LLVM IR: whole vectors by address, matrices of
`width` rows and columns turned on the way, 16-bit elements converted.

Every address is a 64-bit number: Taichi's own indices wrap at 32 bits, so that LLVM extends each of them separately
(2026-11: 0.82 of the speed of this).
"""

SIZES = {"f32": 4, "f64": 8, "f16": 2, "bf16": 2}
STORED = {"f32": "float", "f64": "double", "f16": "half", "bf16": "i16"}
CONVERTED = {"float": ("f32", "f16", "bf16"), "double": ("f64",)}   # element types that lanes of a scalar read


def _pointer(e, address, kind):
    return e.emit(f"inttoptr i64 {address} to {kind}*")


def _element(e, base, index, dtype):
    """Address (i64) of element `index` of the array at `base`."""
    scaled = e.emit(f"mul i64 {index}, {SIZES[dtype]}")
    return e.emit(f"add i64 {base}, {scaled}")


def _stored_vector(e, dtype):
    return f"<{e.width} x {STORED[dtype]}>"


def _read(e, address, dtype):
    """`width` neighbouring elements as lanes; any alignment."""
    kind = _stored_vector(e, dtype)
    raw = e.emit(f"load {kind}, {kind}* {_pointer(e, address, kind)}, align {SIZES[dtype]}")
    if dtype == "f16":
        return e.emit(f"fpext {kind} {raw} to {e.vector}")
    if dtype == "bf16":
        wide = e.emit(f"zext {kind} {raw} to {e.integer}")
        return e.to_float(e.iop("shl", wide, e.iconst(16)))
    return raw


def _round_bf16(e, x):
    """Lanes as bfloat16 bits, to nearest even; NaN stays a quiet NaN."""
    bits = e.to_int(x)
    odd = e.iop("and", e.iop("lshr", bits, e.iconst(16)), e.iconst(1))
    rounded = e.iop("lshr", e.iop("add", e.iop("add", bits, e.iconst(0x7FFF)), odd), e.iconst(16))
    quiet = e.iop("or", e.iop("lshr", bits, e.iconst(16)), e.iconst(0x40))
    nan = e.compare("uno", x, x)
    chosen = e.emit(f"select {e.mask} {nan}, {e.integer} {quiet}, {e.integer} {rounded}")
    return e.emit(f"trunc {e.integer} {chosen} to {_stored_vector(e, 'bf16')}")


def _write(e, address, dtype, x):
    """Lanes to `width` neighbouring elements, rounded to nearest even; any alignment."""
    kind = _stored_vector(e, dtype)
    if dtype == "f16":
        x = e.emit(f"fptrunc {e.vector} {x} to {kind}")
    elif dtype == "bf16":
        x = _round_bf16(e, x)
    e.lines.append(f"  store {kind} {x}, {kind}* {_pointer(e, address, kind)}, align {SIZES[dtype]}")


def transposed(e, rows):
    """The columns of a square matrix of `width` vectors: log2(width) rounds of exchanged blocks (Eklundh 1972)."""
    rows, half = list(rows), 1
    while half < e.width:
        for i in range(e.width):
            if i & half:
                continue
            a, b = rows[i], rows[i + half]
            first = [n + e.width - half if n & half else n for n in range(e.width)]
            second = [n + e.width if n & half else n + half for n in range(e.width)]
            rows[i], rows[i + half] = _shuffle(e, a, b, first), _shuffle(e, a, b, second)
        half *= 2
    return rows


def _shuffle(e, a, b, places):
    mask = ", ".join(f"i32 {n}" for n in places)
    return e.emit(f"shufflevector {e.vector} {a}, {e.vector} {b}, <{e.width} x i32> <{mask}>")


def _row_addresses(e, base, rows, column, dtype):
    """Addresses of element rows[w] + column, for each lane w."""
    kind = f"<{e.width} x i32>"
    lanes, base, column = e.load(rows, kind), e.load(base, "i64"), e.load(column, "i64")
    for w in range(e.width):
        row = e.emit(f"sext i32 {e.emit(f'extractelement {kind} {lanes}, i32 {w}')} to i64")
        yield _element(e, base, e.emit(f"add i64 {row}, {column}"), dtype)


def _lane_place(e, address, step, i):
    """Pointer to the i-th of lane variables that stand `step` bytes apart."""
    place = e.emit(f"add i64 {address}, {e.emit(f'mul i64 {step}, {i}')}")
    return _pointer(e, place, e.vector)


def _read_columns(dtype):
    def body(e, base, rows, column, scale, target, step):
        factor, target, step = e.splat(scale), e.load(target, "i64"), e.load(step, "i64")
        found = [_read(e, at, dtype) for at in list(_row_addresses(e, base, rows, column, dtype))]
        for i, x in enumerate(transposed(e, found)):
            scaled, place = e.op("fmul", x, factor), _lane_place(e, target, step, i)
            e.lines.append(f"  store {e.vector} {scaled}, {e.vector}* {place}")
        return []
    return body


def _write_columns(dtype):
    def body(e, source, step, factor, flagged, base, rows, column):
        source, step, factor = e.load(source, "i64"), e.load(step, "i64"), e.load(factor)
        results, seen = [], e.const(0.0)
        for i in range(e.width):
            x = e.op("fmul", e.load(_lane_place(e, source, step, i)), factor)
            seen = e.op("fadd", seen, e.op("fsub", x, x))            # NaN from then on, unless x is finite
            results.append(x)
        addresses = list(_row_addresses(e, base, rows, column, dtype))
        for at, row in zip(addresses, transposed(e, results), strict=True):
            _write(e, at, dtype, row)
        found = e.select(e.compare("une", seen, e.const(0.0)), e.const(1.0), e.const(0.0))
        return e.op("fadd", e.load(flagged), found)
    return body


def _convert(dtype):
    def body(e, source, place, target, index):
        x = _read(e, _element(e, e.load(source, "i64"), e.load(place, "i64"), dtype), dtype)
        own = "f64" if e.scalar == "double" else "f32"
        _write(e, _element(e, e.load(target, "i64"), e.load(index, "i64"), own), own, x)
        return []
    return body


def _load(e, address, index):
    """The scalar at address + index elements."""
    pointer = _pointer(e, e.load(address, "i64"), e.scalar)
    place = e.emit(f"getelementptr {e.scalar}, {e.scalar}* {pointer}, i64 {e.load(index, 'i64')}")
    return e.load(place, e.scalar)


def _vector_place(e, address, index):
    pointer = _pointer(e, e.load(address, "i64"), e.vector)
    return e.emit(f"getelementptr {e.vector}, {e.vector}* {pointer}, i64 {e.load(index, 'i64')}")


def _load_lanes(e, address, index):
    return e.load(_vector_place(e, address, index))


def _store_lanes(e, address, index, x):
    e.lines.append(f"  store {e.vector} {e.load(x)}, {e.vector}* {_vector_place(e, address, index)}")
    return []


def _scatter_lanes(e, x, base, rows):
    """Lane w to element rows[w] of the array of lanes' scalars at `base`."""
    kind, lanes, own = f"<{e.width} x i32>", e.load(x), "f64" if e.scalar == "double" else "f32"
    base, rows = e.load(base, "i64"), e.load(rows, f"<{e.width} x i32>")
    for w in range(e.width):
        row = e.emit(f"sext i32 {e.emit(f'extractelement {kind} {rows}, i32 {w}')} to i64")
        value = e.emit(f"extractelement {e.vector} {lanes}, i32 {w}")
        e.lines.append(f"  store {e.scalar} {value}, {e.scalar}* {_pointer(e, _element(e, base, row, own), e.scalar)}")
    return []


def _look_up(kind):
    """Lane w reads element index[w] of the array at `base`, whose elements are of that LLVM type."""
    def body(e, base, index):
        wide, lanes = f"<{e.width} x i32>", f"<{e.width} x {kind}>"
        base, index, found = e.load(base, "i64"), e.load(index, f"<{e.width} x i32>"), "undef"
        pointer = _pointer(e, base, kind)
        for w in range(e.width):
            place = e.emit(f"sext i32 {e.emit(f'extractelement {wide} {index}, i32 {w}')} to i64")
            value = e.load(e.emit(f"getelementptr {kind}, {kind}* {pointer}, i64 {place}"), kind)
            found = e.emit(f"insertelement {lanes} {found}, {kind} {value}, i32 {w}")
        return found
    return body


def _as_number(e, whole):
    """i32 lanes as floats, rounded to nearest."""
    kind = f"<{e.width} x i32>"
    return e.emit(f"sitofp {kind} {e.load(whole, kind)} to {e.vector}")


FLUSH = 0x8040         # MXCSR: results (15) and operands (6) below the normal range count as zero


def _enter(e):
    """Compute by the kernels' rules from here on; the thread's own are the result."""
    place = e.emit("alloca i32")
    raw = e.emit(f"bitcast i32* {place} to i8*")
    e.lines.append(f"  call void @llvm.x86.sse.stmxcsr(i8* {raw})")
    before = e.load(place, "i32")
    e.lines.append(f"  store i32 {e.emit(f'or i32 8064, {FLUSH}')}, i32* {place}")       # 8064: no exception traps
    e.lines.append(f"  call void @llvm.x86.sse.ldmxcsr(i8* {raw})")
    return before


def _leave(e, rules):
    raw = e.emit(f"bitcast i32* {rules} to i8*")
    e.lines.append(f"  call void @llvm.x86.sse.ldmxcsr(i8* {raw})")
    return []


def _next_task(e, address):
    """The number at an address, which is raised by 1 in the same instant."""
    pointer = _pointer(e, e.load(address, "i64"), "i32")
    return e.emit(f"atomicrmw add i32* {pointer}, i32 1 seq_cst")


def _publish(e, address):
    """1 to an address, after everything that was written before."""
    e.lines.append(f"  store atomic i32 1, i32* {_pointer(e, e.load(address, 'i64'), 'i32')} release, align 4")
    return []


def table(scalar, width):
    """{name: (argument kinds, result kinds, body)}, kinds as generate._function has them.

    read_columns_T (base, row offsets by lane, column, scale, target, step): column c + i of every lane's row, scaled,
    becomes the lane variable at target + i * step bytes. write_columns_T (source, step, factor, flagged, base, row
    offsets, column) is its inverse, and gives flagged, plus 1 in a lane that wrote something that is not finite.
    convert_T (source, place, target, index): `width` elements, as numbers.
    """
    found = {
        "load": ("aa", "s", _load),
        "load_lanes": ("aa", "v", _load_lanes),
        "store_lanes": ("aav", "", _store_lanes),
        "scatter_lanes": ("vab", "", _scatter_lanes),
        "look_up_number": ("ab", "v", _look_up(scalar)),
        "look_up_whole": ("ab", "b", _look_up("i32")),
        "as_number": ("b", "v", _as_number),
        "next_task": ("a", "j", _next_task),
        "enter": ("", "j", _enter),
        "leave": ("j", "", _leave),
        "publish": ("a", "", _publish),
    }
    for dtype in CONVERTED[scalar]:
        found[f"read_columns_{dtype}"] = ("abasaa", "", _read_columns(dtype))
        found[f"write_columns_{dtype}"] = ("aavvaba", "v", _write_columns(dtype))
        found[f"convert_{dtype}"] = ("aaaa", "", _convert(dtype))
    return found
