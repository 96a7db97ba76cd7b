"""Which facts decide whether a backend works? If one changes, a remembered probe no longer counts.

Files are described by path, size and modification time; nothing is loaded and no driver is touched.
"""

import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path

from aat import env

FORMAT = 2  # raise it when the probe tests something else or its result gains a field
VULKAN_LIBRARIES = ("libvulkan.so.1", "libvulkan.1.dylib", "libMoltenVK.dylib", "vulkan-1.dll")
CUDA_LIBRARIES = ("libcuda.so.1", "nvcuda.dll")
KERNEL_DRIVERS = ("/proc/driver/nvidia/version", "/sys/module/amdgpu/version", "/sys/module/nvidia/version")


def fingerprint(name):
    """The facts for the probe of backend `name`, as a dict that JSON gives back unchanged."""
    facts = {
        "format": FORMAT,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.release(),
        "executable": sys.executable or "",
    }
    if name == "reference":
        return {**facts, "numba": package_version("numba"), "numpy": package_version("numpy")}
    facts["taichi"] = package_version("taichi")
    if name in ("vulkan", "cuda"):
        facts["variables"] = env.driver_variables()
        facts["nodes"] = _device_nodes()
        facts["kernel_drivers"] = [_first_line(path) for path in KERNEL_DRIVERS]
    if name == "vulkan":
        facts["loader"] = [_stamp(path) for path in _libraries(VULKAN_LIBRARIES)]
        facts["drivers"] = [stamp for path in icd_files() for stamp in _driver_stamps(path)]
    if name == "cuda":
        facts["library"] = [_stamp(path) for path in _libraries(CUDA_LIBRARIES)]
    return facts


def package_version(name):
    """The installed version of a distribution, "" if it is not installed; does not import it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _stamp(path):
    try:
        status = os.stat(path)
        return [str(path), status.st_size, status.st_mtime_ns]
    except OSError:
        return [str(path), 0, 0]


def _first_line(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""


def _device_nodes():
    """GPU device nodes and whether this user may open them: a container or a group changes both."""
    paths = [
        path for pattern in ("dri/renderD*", "nvidia*", "dxg", "kfd") for path in Path("/dev").glob(pattern)
    ]
    return [[str(path), os.access(path, os.R_OK | os.W_OK)] for path in sorted(paths)]


def _library_folders():
    folders = env.search_path("LD_LIBRARY_PATH") + env.search_path("DYLD_LIBRARY_PATH")
    triple = getattr(sys.implementation, "_multiarch", "")
    folders += [f"{root}/{triple}" for root in ("/usr/lib", "/lib") if triple]
    folders += [
        "/usr/lib64",
        "/lib64",
        "/usr/lib",
        "/lib",
        "/usr/local/lib",
        "/usr/lib/wsl/lib",
        "/opt/homebrew/lib",
    ]
    return list(dict.fromkeys(folders))


def _libraries(names):
    """Each file under one of these names in the usual folders, in search order."""
    candidates = (Path(folder, name) for folder in _library_folders() for name in names)
    return [path for path in candidates if path.exists()]


def icd_files():
    """The driver manifests (JSON) that the Vulkan loader reads, by the rules of its documentation.

    VK_DRIVER_FILES or the older VK_ICD_FILENAMES replace the folders; VK_ADD_DRIVER_FILES adds to them.
    """
    forced = env.search_path("VK_DRIVER_FILES") or env.search_path("VK_ICD_FILENAMES")
    listed = forced or [*env.search_path("VK_ADD_DRIVER_FILES"), *_icd_folders()]
    files = []
    for entry in map(Path, listed):
        files += sorted(entry.glob("*.json")) if entry.is_dir() else [entry]
    return files


def _icd_folders():
    home = env.home()
    roots = env.search_path("XDG_CONFIG_HOME") or [home / ".config"]
    roots += env.search_path("XDG_CONFIG_DIRS") or ["/etc/xdg"]
    roots += ["/usr/local/etc", "/etc"]
    roots += env.search_path("XDG_DATA_HOME") or [home / ".local/share"]
    roots += env.search_path("XDG_DATA_DIRS") or ["/usr/local/share", "/usr/share"]
    folders = [Path(root, "vulkan", "icd.d") for root in roots]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def _driver_stamps(manifest):
    """The manifest and, where it names one by path or in a usual folder, the driver's library."""
    stamps = [_stamp(manifest)]
    try:
        name = json.loads(manifest.read_text(encoding="utf-8"))["ICD"]["library_path"]
    except (OSError, ValueError, KeyError, TypeError):
        return stamps
    if "/" in name:
        library = [manifest.parent / name]  # joining an absolute path gives that path
    else:
        library = _libraries([name])[:1]
    return stamps + [_stamp(path) for path in library]
