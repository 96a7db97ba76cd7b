"""The Vulkan backend: any GPU with a Vulkan driver, and Mesa's software device for correctness only."""

from aat.backends.gpu import GpuBackend
from aat.backends.program import set_vulkan_device


class VulkanBackend(GpuBackend):
    """Kernels as SPIR-V on the physical device that the probe chose."""

    name = arch = "vulkan"

    def options(self, found):
        """The arguments of `ti.init`."""
        # Taichi would choose by a score of its own; the index makes it the device whose limits were read.
        set_vulkan_device(found.details["index"])
        return super().options(found)
