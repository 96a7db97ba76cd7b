"""What can run here, and why not? `aat info [--json] [--refresh]`."""

import argparse
import json
import platform
import sys
from dataclasses import asdict

from aat import env
from aat.backends import cpu
from aat.backends.fingerprint import package_version
from aat.backends.program import offline_cache
from aat.backends.select import get, names, resolve

PACKAGES = {
    "aat": "adaptive-attention-tiling",
    "taichi": "taichi",
    "numba": "numba",
    "numpy": "numpy",
    "llvmlite": "llvmlite",
    "ml_dtypes": "ml_dtypes",
    "torch": "torch",
}
MIB = 1 << 20


def run(argv=None):
    """Print the page, or JSON with the same facts; returns 0 if at least one backend works."""
    parser = argparse.ArgumentParser(prog="aat info", description=__doc__.split("`")[0].strip())
    parser.add_argument("--json", action="store_true", help="print the facts as one JSON object")
    parser.add_argument(
        "--refresh", action="store_true", help="try every backend again, in place of what is remembered"
    )
    given = parser.parse_args(argv)
    facts = collect(given.refresh)
    sys.stdout.write((json.dumps(facts, indent=2) if given.json else page(facts)) + "\n")
    return 0 if any(entry["ok"] for entry in facts["backends"].values()) else 1


def collect(refresh=False):
    """Everything that `aat info` says, as plain values; a bad environment variable is told in its place."""
    backends = {name: _probe(name, refresh) for name in names()}
    return {
        "versions": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            **{short: package_version(name) for short, name in PACKAGES.items()},
        },
        "auto": _told(lambda: dict(zip(("backend", "reason"), resolve("auto"), strict=True))),
        "backends": backends,
        "cpu": {
            "lanes": _told(cpu.lane_width),
            "host_lanes": cpu.host_lanes(),
            "features": sorted(cpu.features() & {"AVX512F", "AVX2", "FMA3", "AVX", "SSE42", "ASIMD", "NEON"}),
            "intrinsics": _told(cpu.intrinsics),
            "threads": _told(cpu.threads),
            "processors": cpu.processors(),
        },
        "caches": _caches(),
        "environment": [{"name": name, "value": value, "help": text} for name, value, text in env.settings()],
    }


def _told(ask):
    try:
        return ask()
    except ValueError as error:
        return {"error": str(error)}


def _probe(name, refresh):
    found = get(name).probe(refresh=refresh)
    return {
        "ok": found.ok,
        "reasons": list(found.reasons),
        "remembered": found.cached,
        "device": found.device and asdict(found.device),
        "limits": found.limits and asdict(found.limits),
        "details": found.details,
    }


def _caches():
    root = env.cache_dir()
    facts = {"folder": str(root), "writable": offline_cache()["offline_cache"]}
    for name in ("probes", "taichi"):
        facts[name] = dict(zip(("files", "bytes"), _usage(root / name), strict=True))
    return facts


def _usage(folder):
    sizes = [file.stat().st_size for file in folder.glob("*")] if folder.is_dir() else []
    return len(sizes), sum(sizes)


def page(facts):
    """The facts as text for a terminal."""
    lines = ["backends"]
    for name, entry in facts["backends"].items():
        lines += _backend_lines(name, entry)
    auto = facts["auto"]
    lines += [f"  auto       {auto.get('error') or auto['backend'] + ', since ' + auto['reason']}", "", "cpu"]
    for name, value in facts["cpu"].items():
        lines.append(f"  {name:11}{_short(value)}")
    lines += ["", "versions"] + [
        f"  {name:11}{value or 'not installed'}" for name, value in facts["versions"].items()
    ]
    caches = facts["caches"]
    lines += [
        "",
        "caches",
        f"  folder     {caches['folder']}{'' if caches['writable'] else ' (cannot be written)'}",
    ]
    lines += [
        f"  {name:11}{caches[name]['files']} files, {caches[name]['bytes'] / MIB:.1f} MiB"
        for name in ("probes", "taichi")
    ]
    lines += ["", "environment variables"]
    for variable in facts["environment"]:
        lines.append(f"  {variable['name']:16} {variable['value'] or '(unset)'}\n{'':19}{variable['help']}")
    return "\n".join(lines)


def _backend_lines(name, entry):
    source = " (remembered)" if entry["remembered"] else ""
    if not entry["ok"]:
        return [f"  {name:11}no{source}"] + [f"{'':13}{reason}" for reason in entry["reasons"]]
    device, limits, details = entry["device"], entry["limits"], entry["details"]
    software = "software: for correctness, never chosen by auto" if device["kind"] == "software" else ""
    lines = [f"  {name:11}yes{source}", f"{'':13}device     {device['name']} ({software or device['kind']})"]
    driver = ", ".join(filter(None, (device["vendor"], device["driver"], device["api_version"])))
    lines.append(f"{'':13}driver     {driver}")
    lines.append(f"{'':13}dtypes     {' '.join(limits['dtypes'])}")
    if limits["shared_bytes"]:
        lines.append(
            f"{'':13}limits     {limits['shared_bytes']} bytes of shared memory and "
            f"{limits['threads_per_block']} threads a block; {_bytes(limits['array_bytes'])} an array, "
            f"{_bytes(limits['memory_bytes'])} in all"
        )
    if len(details.get("devices", ())) > 1:
        lines.append(
            f"{'':13}devices    {'; '.join(details['devices'])}; TI_VISIBLE_DEVICE={details['index']}"
        )
    return lines


def _bytes(count):
    return f"{count / MIB:.0f} MiB" if count else "unknown"


def _short(value):
    if isinstance(value, dict):
        return value["error"]
    return " ".join(value) if isinstance(value, list) else str(value)
