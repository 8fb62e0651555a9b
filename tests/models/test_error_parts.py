"""An error reads in Python's words by itself, and keeps its typed parts wherever it goes."""

import pickle

from kuaihl.models.errors import ModelError, Remedy, UsageError

COMPILE = Remedy("compile it", {"to": "onnx", "precision": "int8"}, "export", ("a bundle",))


def test_an_error_begins_with_its_setting_and_ends_with_its_remedy() -> None:
    assert str(UsageError("no such room")) == "no such room"
    assert str(UsageError("give one", setting="split")) == "split: give one"
    error = UsageError("there is 1 device", setting="device", value="cuda:9", remedy=Remedy("take the CPU"))
    assert str(error) == "device 'cuda:9': there is 1 device; take the CPU"
    assert str(ModelError("never compiled", remedy=COMPILE)) == "never compiled; compile it"


def test_an_error_told_of_a_place_keeps_all_else() -> None:
    error = ModelError("never compiled", remedy=COMPILE)
    told = error.within("step.onnx")
    assert (type(told), str(told)) == (ModelError, "step.onnx: never compiled; compile it")
    assert told.remedy is COMPILE
    twice = UsageError("no such one", setting="engine", value="x").within("line 4").within("a.edl")
    assert str(twice) == "a.edl: line 4: engine 'x': no such one"
    assert str(error) == "never compiled; compile it"


def test_an_error_crosses_to_another_process_whole() -> None:
    error = UsageError("give one", setting="batch", value=25, remedy=COMPILE).within("a room")
    came = pickle.loads(pickle.dumps(error))
    assert (type(came), str(came), came.remedy) == (UsageError, str(error), COMPILE)
