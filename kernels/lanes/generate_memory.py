"""LLVM IR of the lane intrinsics that read and write memory by 64-bit address, and of those that cross lanes.

`generate.table` joins them to the arithmetic; the two files are one generator in two parts. A lane of a loaded vector
is a column: neighbours in memory, of any element type, at any address that is a multiple of the element's size.
"""
# name: (LLVM type, bytes, the lane scalars that it is converted to)
ELEMENTS = {"f32": ("float", 4, ("float",)), "f16": ("half", 2, ("float",)), "bf16": ("i16", 2, ("float",)),
            "i8": ("i8", 1, ("float",)), "f64": ("double", 8, ("double",))}
SHORT = {"float": "f32", "half": "f16", "double": "f64"}


def _mangled(kind, width):
    """How LLVM spells a vector type in the name of an intrinsic."""
    return f"v{width}{SHORT.get(kind, kind)}"


def _wide(kind, width):
    return f"<{width} x {kind}>"


def _pointer(e, address, index, kind, target):
    """A pointer to `target` at address + index elements of `kind`."""
    base = e.emit(f"inttoptr i64 {e.load(address, 'i64')} to {kind}*")
    place = e.emit(f"getelementptr {kind}, {kind}* {base}, i64 {e.load(index, 'i64')}")
    return place if target == kind else e.emit(f"bitcast {kind}* {place} to {target}*")


def _some(e, count):
    """Lanes below count, an i32."""
    kind = _wide("i32", e.width)
    first = e.emit(f"insertelement {kind} undef, i32 {e.load(count, 'i32')}, i32 0")
    counts = e.emit(f"shufflevector {kind} {first}, {kind} undef, {kind} zeroinitializer")
    numbers = "<" + ", ".join(f"i32 {n}" for n in range(e.width)) + ">"
    return e.emit(f"icmp slt {kind} {numbers}, {counts}")


def _widened(e, name, x):
    """A vector of elements as lanes, exactly."""
    kind = _wide(ELEMENTS[name][0], e.width)
    if name == "f16":
        return e.emit(f"fpext {kind} {x} to {e.vector}")
    if name == "bf16":
        wide = e.emit(f"zext {kind} {x} to {e.integer}")
        return e.to_float(e.iop("shl", wide, e.iconst(16)))
    if name == "i8":
        return e.emit(f"sitofp {kind} {x} to {e.vector}")
    return x


def _narrowed(e, name, x):
    """Lanes as elements, rounded to nearest even; a NaN stays one."""
    kind = _wide(ELEMENTS[name][0], e.width)
    if name == "f16":
        return e.emit(f"fptrunc {e.vector} {x} to {kind}")
    if name == "bf16":
        bits = e.to_int(x)
        high = e.iop("lshr", bits, e.iconst(16))
        odd = e.iop("and", high, e.iconst(1))
        rounded = e.iop("lshr", e.iop("add", e.iop("add", bits, e.iconst(0x7FFF)), odd), e.iconst(16))
        quiet = e.iop("or", high, e.iconst(0x40))
        nan = e.compare("uno", x, x)
        chosen = e.emit(f"select {e.mask} {nan}, {e.integer} {quiet}, {e.integer} {rounded}")
        return e.emit(f"trunc {e.integer} {chosen} to {kind}")
    return x


def _read(name, partial):
    kind, size, _ = ELEMENTS[name]

    def body(e, address, index, count=None):
        vector = _wide(kind, e.width)
        place = _pointer(e, address, index, kind, vector)
        if not partial:
            return _widened(e, name, e.emit(f"load {vector}, {vector}* {place}, align {size}"))
        return _widened(e, name, e.emit(
            f"call {vector} @llvm.masked.load.{_mangled(kind, e.width)}.p0{_mangled(kind, e.width)}({vector}* {place}, "
            f"i32 {size}, {e.mask} {_some(e, count)}, {vector} zeroinitializer)"))
    return body


def _write(name, partial):
    kind, size, _ = ELEMENTS[name]

    def body(e, address, index, value, count=None):
        vector = _wide(kind, e.width)
        place = _pointer(e, address, index, kind, vector)
        x = _narrowed(e, name, e.load(value))
        if partial:
            e.lines.append(f"  call void @llvm.masked.store.{_mangled(kind, e.width)}.p0{_mangled(kind, e.width)}("
                           f"{vector} {x}, {vector}* {place}, i32 {size}, {e.mask} {_some(e, count)})")
        else:
            e.lines.append(f"  store {vector} {x}, {vector}* {place}, align {size}")
    return body


def _repeat(count):
    """`count` numbers in each aligned run of as many lanes."""
    def body(e, address, index):
        few = f"<{count} x {e.scalar}>"
        place = _pointer(e, address, index, e.scalar, few)
        x = e.emit(f"load {few}, {few}* {place}, align {ELEMENTS[SHORT[e.scalar]][1]}")
        places = ", ".join(f"i32 {n % count}" for n in range(e.width))
        return e.emit(f"shufflevector {few} {x}, {few} undef, <{e.width} x i32> <{places}>")
    return body


def _read_scalar(kind, size):
    return lambda e, address, index: e.emit(
        f"load {kind}, {kind}* {_pointer(e, address, index, kind, kind)}, align {size}")


def _write_i32(e, address, index, value):
    place = _pointer(e, address, index, "i32", "i32")
    e.lines.append(f"  store i32 {e.load(value, 'i32')}, i32* {place}, align 4")


def _write_scalar(e, address, index, value):
    size = ELEMENTS[SHORT[e.scalar]][1]
    place = _pointer(e, address, index, e.scalar, e.scalar)
    e.lines.append(f"  store {e.scalar} {e.load(value, e.scalar)}, {e.scalar}* {place}, align {size}")


def _prefetch(locality):
    """Ask for the cache line at address + index bytes; an address that cannot be read is ignored by the processor."""
    def body(e, address, index):
        place = _pointer(e, address, index, "i8", "i8")
        e.lines.append(f"  call void @llvm.prefetch.p0i8(i8* {place}, i32 0, i32 {locality}, i32 1)")
    return body


def _shuffle(e, a, b, places):
    mask = ", ".join(f"i32 {n}" for n in places)
    return e.emit(f"shufflevector {e.vector} {a}, {e.vector} {b}, <{e.width} x i32> <{mask}>")


def _total_by_lane(e, *pointers):
    """Lane n holds the sum over the lanes of argument n: a transposition with an addition at each of its steps.

    At distance h, two vectors whose numbers differ in bit h become one: its lanes without bit h hold sums of the first,
    those with it sums of the second. One blend, one permutation and one addition each.
    """
    vectors = [e.load(pointer) for pointer in pointers]
    h = e.width // 2
    while h:
        lanes = range(e.width)
        vectors = [e.op("fadd",
                        _shuffle(e, a, b, [n if not n & h else n + e.width for n in lanes]),
                        _shuffle(e, a, b, [n ^ h if not n & h else (n ^ h) + e.width for n in lanes]))
                   for a, b in zip(vectors[:h], vectors[h:], strict=True)]
        h //= 2
    return vectors[0]


def _across(join, h):
    """Each lane joined with the one whose number differs in bit h."""
    def body(e, x):
        a = e.load(x)
        return join(e, a, _shuffle(e, a, "undef", [n ^ h for n in range(e.width)]))
    return body


def table(scalar, width, maximum):
    """{name: (argument kinds + result kind, body)} for `generate.source`; result kind "0" is none."""
    entries = {}
    for name, (_, _, scalars) in ELEMENTS.items():
        if scalar not in scalars:
            continue
        entries[f"read_{name}"] = ("aav", _read(name, False))
        entries[f"read_part_{name}"] = ("aajv", _read(name, True))
        if name != "i8":
            entries[f"write_{name}"] = ("aav0", _write(name, False))
            entries[f"write_part_{name}"] = ("aavj0", _write(name, True))
    for count in {max(1, width // rows) for rows in (1, 2, 4)} if scalar == "float" else ():
        entries[f"repeat_{count}"] = ("aav", _repeat(count))
    entries["read_i32"] = ("aaj", _read_scalar("i32", 4))
    entries["write_i32"] = ("aaj0", _write_i32)
    entries["store"] = ("aas0", _write_scalar)
    entries["prefetch_1"] = ("aa0", _prefetch(3))      # into the first cache
    entries["prefetch_2"] = ("aa0", _prefetch(2))      # into the second
    entries["total_by_lane"] = ("v" * width + "v", _total_by_lane)
    h = 1
    while h < width:
        entries[f"max_across_{h}"] = ("vv", _across(maximum, h))
        entries[f"add_across_{h}"] = ("vv", _across(lambda e, a, b: e.op("fadd", a, b), h))
        h *= 2
    return entries


def declarations(scalar, width):
    """The LLVM intrinsics that the table's bodies call."""
    lines = ["declare void @llvm.prefetch.p0i8(i8*, i32, i32, i32)"]
    mask = _wide("i1", width)
    for name, (kind, _, scalars) in ELEMENTS.items():
        if scalar in scalars:
            vector, mangled = _wide(kind, width), _mangled(kind, width)
            lines.append(f"declare {vector} @llvm.masked.load.{mangled}.p0{mangled}({vector}*, i32, {mask}, {vector})")
            if name != "i8":
                lines.append(f"declare void @llvm.masked.store.{mangled}.p0{mangled}({vector}, {vector}*, i32, {mask})")
    return lines
