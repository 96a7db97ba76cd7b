"""Which Vulkan devices are there, and what are their limits? Asked through ctypes, without Taichi.

Runs in the probe's child process: loading a broken driver may kill it. Structures follow vulkan_core.h
(Vulkan 1.0 core; 1.1 for driver names, subgroups and allocation sizes); trailing members that are not read
are padding.
"""

import ctypes
import sys
from ctypes import POINTER, Structure, byref, c_char, c_char_p, c_int32, c_uint8, c_uint32, c_uint64, c_void_p

LOADERS = {
    "linux": ("libvulkan.so.1", "libvulkan.so"),
    "darwin": ("libvulkan.1.dylib", "libvulkan.dylib", "libMoltenVK.dylib"),
    "win32": ("vulkan-1.dll",),
}
INSTALL = {
    "linux": "install the Vulkan loader and a driver (Debian and Ubuntu: apt install libvulkan1 "
    "mesa-vulkan-drivers; "
    "Fedora: dnf install vulkan-loader mesa-vulkan-drivers; NVIDIA's own driver brings its part)",
    "darwin": "install the Vulkan SDK for macOS (MoltenVK) from https://vulkan.lunarg.com",
    "win32": "install the graphics driver of your GPU's vendor, which brings the Vulkan loader",
}
KINDS = {0: "software", 1: "integrated", 2: "discrete", 3: "virtual", 4: "software"}  # VkPhysicalDeviceType
PREFERENCE = ("discrete", "integrated", "virtual", "software")
SOFTWARE_NAMES = ("llvmpipe", "lavapipe", "swiftshader", "softpipe", "warp")
VENDORS = {
    0x1002: "AMD",
    0x1010: "Imagination",
    0x106B: "Apple",
    0x10DE: "NVIDIA",
    0x13B5: "ARM",
    0x14E4: "Broadcom",
    0x5143: "Qualcomm",
    0x8086: "Intel",
    0x10005: "Mesa",
}
RESULTS = {
    -1: "out of host memory",
    -2: "out of device memory",
    -3: "initialisation failed",
    -4: "device lost",
    -6: "layer not present",
    -7: "extension not present",
    -9: "no compatible driver was found",
}
FEATURE_FLOAT64, FEATURE_INT64, FEATURES = 39, 40, 55
HEAP_DEVICE_LOCAL = 1


class ApplicationInfo(Structure):
    """VkApplicationInfo."""

    _fields_ = [
        ("sType", c_int32),
        ("pNext", c_void_p),
        ("pApplicationName", c_char_p),
        ("applicationVersion", c_uint32),
        ("pEngineName", c_char_p),
        ("engineVersion", c_uint32),
        ("apiVersion", c_uint32),
    ]


class InstanceCreateInfo(Structure):
    """VkInstanceCreateInfo."""

    _fields_ = [
        ("sType", c_int32),
        ("pNext", c_void_p),
        ("flags", c_uint32),
        ("pApplicationInfo", POINTER(ApplicationInfo)),
        ("enabledLayerCount", c_uint32),
        ("ppEnabledLayerNames", c_void_p),
        ("enabledExtensionCount", c_uint32),
        ("ppEnabledExtensionNames", c_void_p),
    ]


class PhysicalDeviceLimits(Structure):
    """VkPhysicalDeviceLimits up to the compute members; runs of members that nobody reads are one array."""

    _fields_ = [
        ("image", c_uint32 * 5),
        ("maxTexelBufferElements", c_uint32),
        ("maxUniformBufferRange", c_uint32),
        ("maxStorageBufferRange", c_uint32),
        ("maxPushConstantsSize", c_uint32),
        ("maxMemoryAllocationCount", c_uint32),
        ("maxSamplerAllocationCount", c_uint32),
        ("bufferImageGranularity", c_uint64),
        ("sparseAddressSpaceSize", c_uint64),
        ("descriptors", c_uint32 * 16),
        ("vertex", c_uint32 * 5),
        ("tessellation", c_uint32 * 8),
        ("geometry", c_uint32 * 5),
        ("fragment", c_uint32 * 4),
        ("maxComputeSharedMemorySize", c_uint32),
        ("maxComputeWorkGroupCount", c_uint32 * 3),
        ("maxComputeWorkGroupInvocations", c_uint32),
        ("maxComputeWorkGroupSize", c_uint32 * 3),
        ("rest", c_uint64 * 64),
    ]


class PhysicalDeviceProperties(Structure):
    """VkPhysicalDeviceProperties, with room after it."""

    _fields_ = [
        ("apiVersion", c_uint32),
        ("driverVersion", c_uint32),
        ("vendorID", c_uint32),
        ("deviceID", c_uint32),
        ("deviceType", c_uint32),
        ("deviceName", c_char * 256),
        ("pipelineCacheUUID", c_uint8 * 16),
        ("limits", PhysicalDeviceLimits),
    ]


class Chained(Structure):
    """A structure of Vulkan 1.1 that continues a `pNext` chain; its own members follow as bytes."""

    _fields_ = [("sType", c_int32), ("pNext", c_void_p), ("body", c_uint8 * 1024)]


class MemoryProperties(Structure):
    """VkPhysicalDeviceMemoryProperties."""

    class Heap(Structure):
        """VkMemoryHeap."""

        _fields_ = [("size", c_uint64), ("flags", c_uint32)]

    _fields_ = [
        ("memoryTypeCount", c_uint32),
        ("memoryTypes", c_uint32 * 64),
        ("memoryHeapCount", c_uint32),
        ("memoryHeaps", Heap * 16),
    ]


class VulkanError(RuntimeError):
    """No Vulkan device can be listed; the message says why and what to do."""


def version(packed):
    """ "major.minor.patch" of a packed Vulkan version."""
    return f"{packed >> 22 & 0x7F}.{packed >> 12 & 0x3FF}.{packed & 0xFFF}"


def load():
    """(library, name) of the Vulkan loader; VulkanError says how to install it."""
    platform = "linux" if sys.platform.startswith("linux") else sys.platform
    names, failures = LOADERS.get(platform, LOADERS["linux"]), []
    for name in names:
        try:
            return ctypes.CDLL(name), name
        except OSError as error:
            failures.append(str(error))
    hint = INSTALL.get(platform, INSTALL["linux"])
    raise VulkanError(f"the Vulkan loader could not be loaded ({failures[0]}); {hint}")


def _check(result, call):
    if result < 0:
        hint = "; " + INSTALL["linux"] if result == -9 else "; reinstall or update the graphics driver"
        raise VulkanError(f"{call} failed with {result} ({RESULTS.get(result, 'see VkResult')}){hint}")


class Instance:
    """`with Instance() as instance:` is a VkInstance of the loader's API version (at most 1.1)."""

    def __init__(self):
        self.library, self.loader = load()
        self.api = 1 << 22
        supported = c_uint32(0)
        if hasattr(self.library, "vkEnumerateInstanceVersion"):  # absent from 1.0 loaders
            self.library.vkEnumerateInstanceVersion(byref(supported))
            if supported.value >= (1 << 22 | 1 << 12):
                self.api = 1 << 22 | 1 << 12
        self.loader_version = version(supported.value or self.api)

    def __enter__(self):
        application = ApplicationInfo(0, None, b"aat", 1, b"aat", 1, self.api)
        info = InstanceCreateInfo(1, None, 0, ctypes.pointer(application), 0, None, 0, None)
        self._handle = c_void_p()
        _check(self.library.vkCreateInstance(byref(info), None, byref(self._handle)), "vkCreateInstance")
        return self

    def __exit__(self, *exception):
        self.library.vkDestroyInstance(self._handle, None)
        return False

    def physical_devices(self):
        """The handles in the loader's order, which is also the order of Taichi's device index."""
        count = c_uint32(0)
        enumerate_devices = self.library.vkEnumeratePhysicalDevices
        _check(enumerate_devices(self._handle, byref(count), None), "vkEnumeratePhysicalDevices")
        handles = (c_void_p * count.value)()
        if count.value:
            _check(enumerate_devices(self._handle, byref(count), handles), "vkEnumeratePhysicalDevices")
        return [c_void_p(handle) for handle in handles[: count.value]]

    def describe(self, handle):
        """One device as a dict of plain values (names as in Vulkan where they come straight from it)."""
        properties = PhysicalDeviceProperties()
        self.library.vkGetPhysicalDeviceProperties(handle, byref(properties))
        features = (c_uint32 * (FEATURES + 64))()
        self.library.vkGetPhysicalDeviceFeatures(handle, features)
        name = properties.deviceName.decode(errors="replace")
        software = any(word in name.lower() for word in SOFTWARE_NAMES)
        limits = properties.limits
        facts = {
            "name": name,
            "kind": "software" if software else KINDS.get(properties.deviceType, "software"),
            "vendor": VENDORS.get(properties.vendorID, hex(properties.vendorID)),
            "api_version": version(properties.apiVersion),
            "driver": f"driver {properties.driverVersion:#x}",
            "shared_bytes": limits.maxComputeSharedMemorySize,
            "threads_per_block": min(
                limits.maxComputeWorkGroupInvocations, limits.maxComputeWorkGroupSize[0]
            ),
            "blocks": limits.maxComputeWorkGroupCount[0],
            "array_bytes": limits.maxStorageBufferRange,
            "memory_bytes": self._device_memory(handle),
            "float64": bool(features[FEATURE_FLOAT64]),
            "pairs": bool(features[FEATURE_INT64]),
            "float16": False,
            "subgroup": 0,
        }
        if self.api > 1 << 22 and properties.apiVersion >= self.api:
            facts.update(self._describe_1_1(handle, facts))
        return facts

    def _device_memory(self, handle):
        memory = MemoryProperties()
        self.library.vkGetPhysicalDeviceMemoryProperties(handle, byref(memory))
        heaps = memory.memoryHeaps[: memory.memoryHeapCount]
        local = [heap.size for heap in heaps if heap.flags & HEAP_DEVICE_LOCAL]
        return max(local or [heap.size for heap in heaps], default=0)

    def _describe_1_1(self, handle, facts):
        # VkPhysicalDevice{Subgroup,Driver,Maintenance3}Properties and ...ShaderFloat16Int8Features; a
        # driver leaves the members of a structure that it does not know as they are, which is zero
        subgroup, driver, sizes = Chained(1000094000), Chained(1000196000), Chained(1000168000)
        subgroup.pNext = ctypes.cast(byref(driver), c_void_p)
        driver.pNext = ctypes.cast(byref(sizes), c_void_p)
        head = Chained(1000059001, ctypes.cast(byref(subgroup), c_void_p))
        self.library.vkGetPhysicalDeviceProperties2(handle, byref(head))
        small = Chained(1000082000)
        head = Chained(1000059000, ctypes.cast(byref(small), c_void_p))
        self.library.vkGetPhysicalDeviceFeatures2(handle, byref(head))

        def number(chained, offset, kind=c_uint32):
            return kind.from_buffer_copy(bytes(chained.body), offset).value

        def text(offset):
            return bytes(driver.body)[offset : offset + 256].split(b"\0")[0].decode(errors="replace")

        named = f"{text(4)} {text(260)}".strip()
        largest = number(sizes, 8, c_uint64)
        return {
            "subgroup": number(subgroup, 0),
            "driver": named or facts["driver"],
            "float16": bool(number(small, 0)),
            "array_bytes": min(facts["array_bytes"], largest) if largest else facts["array_bytes"],
        }


def devices():
    """(list of device dicts in the loader's order, facts about the loader); VulkanError if there is none."""
    with Instance() as instance:
        found = [instance.describe(handle) for handle in instance.physical_devices()]
        loader = {"loader": instance.loader, "loader_version": instance.loader_version}
    if not found:
        raise VulkanError(
            f"the Vulkan loader {loader['loader']} is there but lists no device; {INSTALL['linux']}; in a "
            "container, pass the GPU through (for NVIDIA with the capability 'graphics')"
        )
    return found, loader


def choose(found, pinned=None):
    """The index of the device to use: `pinned` if it is one, else the first of the best kind."""
    if pinned is not None:
        if pinned >= len(found):
            raise VulkanError(
                f"environment variable TI_VISIBLE_DEVICE: expected an index below {len(found)}, got "
                f"{pinned}; unset it, or take one of {[device['name'] for device in found]}"
            )
        return pinned
    return min(range(len(found)), key=lambda index: PREFERENCE.index(found[index]["kind"]))
