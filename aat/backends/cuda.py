"""The CUDA backend: the same GPU lanes as Vulkan, compiled through LLVM's NVPTX."""

from aat.backends.gpu import GpuBackend


class CudaBackend(GpuBackend):
    """Kernels as PTX on the first CUDA device."""

    name = arch = "cuda"

    def options(self, found):
        """The arguments of `ti.init`."""
        # without the pool Taichi would set 1 GB aside for sparse fields, which no kernel here uses
        return {**super().options(found), "device_memory_GB": 0.25}
