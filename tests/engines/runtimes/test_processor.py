"""What a processor can do, out of `/proc/cpuinfo` as Linux writes it."""

import pytest

from kuaihl.engines.runtimes.processor import Processor, parse_processor, read_processor

HASWELL = "model name\t: Intel(R) Core(TM) i7-4770\nflags\t\t: fpu sse4_1 sse4_2 avx fma avx2 bmi2\n"
ZEN_2 = "model name\t: AMD EPYC 7702\nflags\t\t: fpu sse4_1 avx fma avx2\n\nprocessor\t: 1\nflags\t: fpu avx512f\n"
SKYLAKE_X = "model name\t: Xeon\nflags\t\t: avx2 avx512f avx512dq avx512cd avx512bw avx512vl\n"
ICE_LAKE = "model name\t: Xeon\nflags\t\t: avx2 avx512f avx512dq avx512bw avx512vl avx512_vnni\n"
ALDER_LAKE = "model name\t: Core\nflags\t\t: avx2 avx_vnni\n"
SAPPHIRE = "model name\t: Xeon\nflags\t\t: avx2 avx512f avx512dq avx512bw avx512vl avx512_vnni amx_tile amx_int8\n"


@pytest.mark.parametrize(
    ("facts", "there"),
    [
        (HASWELL, ["AVX2"]),
        (ZEN_2, ["AVX2"]),  # the first processor stands for all
        (SKYLAKE_X, ["AVX2", "AVX-512"]),
        (ICE_LAKE, ["AVX2", "AVX-512", "VNNI"]),
        (ALDER_LAKE, ["AVX2", "VNNI"]),
        (SAPPHIRE, ["AVX2", "AVX-512", "VNNI", "AMX"]),
        ("", []),
    ],
)
def test_flags_say_which_instructions_are_there(facts: str, there: list[str]) -> None:
    assert [name for name, has in parse_processor(facts).instructions.items() if has] == there


def test_a_line_names_what_is_there_and_what_is_not() -> None:
    assert parse_processor(HASWELL).description == "Intel(R) Core(TM) i7-4770 (AVX2; no AVX-512, VNNI, AMX)"


def test_this_processor_has_a_name() -> None:
    assert read_processor().name
    assert isinstance(read_processor(), Processor)
