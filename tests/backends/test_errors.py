"""The four parts of a message, and what a BackendError carries."""

import pickle

import pytest

from aat.errors import BackendError, type_error, value_error


def test_a_message_has_its_four_parts():
    error = value_error("mask", "shape (2, 3)", "shape (3, 2)", "transpose it")
    assert str(error) == "mask: expected shape (2, 3), got shape (3, 2); transpose it"
    assert str(type_error("q", "float32", "int64")) == "q: expected float32, got int64"
    assert type(error) is ValueError
    assert type(type_error("q", "a", "b")) is TypeError


@pytest.mark.parametrize("reasons", ["no driver; install one", ["no driver; install one"]])
def test_one_reason_is_one_line(reasons):
    error = BackendError("vulkan", reasons)
    assert error.backend == "vulkan"
    assert error.reasons == ["no driver; install one"]
    assert str(error) == "backend 'vulkan': no driver; install one"
    assert isinstance(error, RuntimeError)


def test_several_reasons_are_listed():
    text = str(BackendError("cuda", ["no driver", "no device"]))
    assert text.splitlines() == ["backend 'cuda' cannot run:", "  - no driver", "  - no device"]


def test_it_crosses_processes():
    error = BackendError("cuda", ["no driver", "no device"])
    again = pickle.loads(pickle.dumps(error))
    assert (again.backend, again.reasons, str(again)) == (error.backend, error.reasons, str(error))
