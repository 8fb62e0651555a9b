"""`kuaihl doctor`: what this machine has, as a user sees it."""

import json

from support.command import kuaihl

from kuaihl.engines.runtimes.processor import read_processor


def test_doctor_says_which_instructions_are_there_and_what_int8_gains() -> None:
    result = kuaihl("doctor", "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)["processor"]
    assert list(found) == ["name", "AVX2", "AVX-512", "VNNI", "AMX", "int8"]
    assert found["VNNI"] == ("yes" if read_processor().vnni else "no")
    assert found["int8"].startswith(read_processor().gain_by_int8)
    assert ("--target vnni does not run here" in found["int8"]) == (not read_processor().vnni)
