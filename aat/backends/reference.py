"""The reference "backend": plain float64 loops in Numba, on host arrays, without Taichi."""

from aat.backends.base import Backend
from aat.errors import BackendError


class ReferenceBackend(Backend):
    """Never opened: `aat.functional` calls `kernels/reference` instead of a kernel."""

    name = "reference"

    def require(self):
        """Raise BackendError: there is nothing to open."""
        raise BackendError(
            self.name,
            "it computes from host arrays and keeps none on a device; pass NumPy arrays with "
            'backend="reference", or use to_device with "cpu" or "vulkan"',
        )

    def _nothing(self, *arguments):
        self.require()

    open = block_kind = allocate = argument = storage = upload = download = fill = _nothing
