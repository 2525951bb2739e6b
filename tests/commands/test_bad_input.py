"""Every mistake ends with exit status 2 and one sentence, and writes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from physim.cli import cli
from physim.command_line import run
from physim.shards.journal import Journal


@pytest.fixture
def invoke(tmp_path, monkeypatch, capsys):
    """Run `physim …` in an empty folder; returns exit status and what stood on standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["physim", *arguments])
        status = run(cli)
        return status, capsys.readouterr().err

    return call


RENDER = ("render", "--n", "10")

MISTAKES = [
    (("--system", "pendulun"), ["system", "'pendulun'", "did you mean 'pendulum'"]),
    ((), ["--system", "missing"]),
    (("--system", "pendulum", "--n", "0"), ["n:", "got 0", "1 …"]),
    (("--system", "pendulum", "--n", "-3"), ["n:", "got -3"]),
    (("--system", "pendulum", "--n", "many"), ["--n", "many", "integer"]),
    (("--system", "pendulum", "--n-test", "-1"), ["n_test", "-1", "0 … 1000000000"]),
    (("--system", "pendulum", "--dt", "0"), ["dt", "got 0", "above 0, or below 0"]),
    (("--system", "pendulum", "--dt", "nan"), ["dt", "nan"]),
    (("--system", "pendulum", "--dt", "inf"), ["dt", "inf"]),
    (("--system", "pendulum", "--noise", "-0.1"), ["noise", "-0.1", "from 0"]),
    (("--system", "pendulum", "--resolution", "7"), ["resolution", "got 7", "8 … 1024"]),
    (("--system", "pendulum", "--resolution", "1025"), ["resolution", "1025", "8 … 1024"]),
    (("--system", "pendulum", "--half-width", "0"), ["half_width", "got 0", "above 0"]),
    (("--system", "pendulum", "--frames", "0"), ["frames", "got 0"]),
    (("--system", "pendulum", "--seed", "-1"), ["seed", "-1"]),
    (("--system", "pendulum", "--param", "m=2:1"), ["m", "low 2", "high 1"]),
    (("--system", "pendulum", "--param", "mass=1"), ["mass", "m, l, g"]),
    (("--system", "pendulum", "--param", "m=0"), ["m", "got 0", "above 0", "mass"]),
    (("--system", "pendulum", "--param", "m=-1:1"), ["m", "-1", "above 0"]),
    (("--system", "pendulum", "--param", "m"), ["--param", "'m'", "NAME=VALUE"]),
    (("--system", "pendulum", "--param", "m=heavy"), ["m", "'heavy'", "LO:HI"]),
    (("--system", "pendulum", "--param", "m=nan"), ["m", "nan", "finite"]),
    (
        ("--system", "pendulum", "--integrator", "leapfrog2"),
        ["integrator", "did you mean 'leapfrog'"],
    ),
    (("--system", "pendulum", "--substeps", "4"), ["substeps", "got 4", "closed_form"]),
    (("--recipe", "hgn/two_body", "--substeps", "4"), ["substeps", "got 4", "closed_form"]),
    (("--system", "pendulum", "--friction", "-1"), ["friction", "-1"]),
    (("--system", "pendulum", "--style", "oil"), ["style", "'oil'", "hgn"]),
    (("--system", "pendulum", "--sampler", "grid"), ["sampler", "'grid'", "annulus"]),
    (("--system", "pendulum", "--workers", "0"), ["workers", "got 0"]),
    (("--system", "pendulum", "--param", "m=1", "--param", "m=2"), ["--param", "m twice"]),
    (("--system", "pendulum", "--store", "images"), ["store.0: ", "images", "derivatives"]),
    (("--system", "pendulum", "--bodies", "3"), ["bodies", "3", "pendulum"]),
    (("--system", "n_body", "--bodies", "9"), ["bodies", "9", "2 … 8"]),
    (("--system", "two_body", "--colors", "1"), ["colors", "got 1", "2"]),
    (("--system", "pendulum", "--recipe", "hgn/two_body"), ["--system", "pendulum", "two_body"]),
    (("--system", "pendulum", "--dt", "1e308"), ["dt", "1e+308", "finite"]),
    (("--system", "pendulum", "--dt", "-1e308"), ["dt", "-1e+308", "finite"]),
    (
        ("--system", "pendulum", "--resolution", "1024", "--frames", "100000"),
        ["frames", "100000", "1024 MiB"],
    ),
    (("--system", "pendulum", "--scheduler", "nowhere"), ["scheduler", "'nowhere'", "local"]),
    (("--recipe", "hgn/pendulun"), ["recipe", "did you mean 'hgn/pendulum'"]),
    (("--recipe", "missing.toml"), ["recipe", "missing.toml", "no such file"]),
    (("--system", "pendulum", "--out", ""), ["out", "got ''", "folder"]),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=lambda value: " ".join(value))
def test_mistakes_are_one_sentence_and_write_nothing(invoke, arguments, words):
    status, message = invoke(*RENDER, *arguments)
    assert status == 2
    assert message.startswith("Error: ")
    assert message.count("\n") == 1
    assert all(word in message for word in words), message
    assert not list(Path().iterdir())


RECIPES = [
    ('system = "pendulum"\nframe = 30', ["mine.toml", "'frame'", "did you mean 'frames'"]),
    ('system = "pendulum"\nframes = "30"', ["mine.toml", "frames", "'30'", "integer"]),
    (
        'system = "pendulum"\n[parameters]\nmass = 1',
        ["mine.toml", "parameters", "'mass'", "m, l, g"],
    ),
    ('system = "pendulum"\n[parameters]\nm = "1"', ["mine.toml", "parameters.m", "'1'", "number"]),
    (
        'system = "pendulum"\n[parameters]\nm = { normal = [0, 1] }',
        ["mine.toml", "parameters.m", "normal", "uniform"],
    ),
    *(
        (
            f'system = "pendulum"\n[parameters]\nm = {table}',
            ["parameters.m: got {", "expected a number or one of { uniform = [low, high] }"],
        )
        for table in ("{}", "{ uniform = [1, 2], area = [1, 2] }", "{ fixed = [1, 2] }")
    ),
    ('system = "pendulum"\nframes = "x"\nresolution = "y"', ["mine.toml: frames: got 'x'"]),
    ('system = "two_body"\n[parameters]\nm = [1, 2, 3]', ["mine.toml", "parameters.m", "3", "2"]),
    ('system = "two_body"\n[parameters]\nm = [1, "x"]', ["parameters.m[1]", "'x'", "number"]),
    ('system = "pendulum"\n[parameters]\nm = true', ["parameters.m", "True", "number"]),
    *(
        (
            f'system = "pendulum"\n[parameters]\nm = {{ uniform = {bounds} }}',
            ["parameters.m.uniform", f"got {bounds}", "expected [low, high]"],
        )
        for bounds in ("3", "[1]", "[1, 2, 3]")
    ),
    ('system = "pendulum"\n[initial]\nradius = -1', ["initial.radius", "-1", "0 or more"]),
    (
        'system = "pendulum"\n[initial]\nradius = { log_uniform = [0, 1] }',
        ["initial.radius.log_uniform", "got 0", "above 0"],
    ),
    (
        'system = "pendulum"\n[initial]\nradios = 1',
        ["mine.toml", "initial", "did you mean 'radius'"],
    ),
    ("system = ", ["mine.toml", "not TOML"]),
    ("frames = 3", ["mine.toml", "system", "missing"]),
    ('system = "pendulum"\nname = "../../elsewhere"', ["mine.toml", "name", "elsewhere"]),
    (
        'system = "pendulum"\n[parameters]\nm = 1' + 400 * "0",
        ["mine.toml", "parameters.m", "more than 308 digits", "finite"],
    ),
    ('system = "pendulum"\n[parameters]\nm = 1' + 5000 * "0", ["mine.toml", "not TOML"]),
    ('system = "pendulum"\ndt = 1' + 400 * "0", ["mine.toml", "dt", "valid number"]),
    ('system = "pendulum"\nself = 1', ["mine.toml", "'self'", "known"]),
    ('system = "pendulum"\nparameters = 3', ["mine.toml", "parameters", "3", "dictionary"]),
    ('system = "pendulum"\ninitial = "x"', ["mine.toml", "initial", "'x'", "dictionary"]),
]


@pytest.mark.parametrize("more", [(), ("--param", "m=1")], ids=["", "param"])
@pytest.mark.parametrize(("text", "words"), RECIPES, ids=lambda value: str(value)[:40])
def test_mistakes_in_a_recipe_name_the_key(invoke, text, words, more):
    Path("mine.toml").write_text(text)
    status, message = invoke(*RENDER, "--recipe", "mine.toml", *more)
    assert status == 2
    assert all(word in message for word in words), message
    assert message.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["mine.toml"]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("my recipe (1)", "my recipe _1_"),
        ("-a", "a"),
        (".a", "a"),
        ("+", "pendulum"),
        (230 * "x", 200 * "x"),
    ],
)
def test_any_file_name_will_do(invoke, file, name):
    Path(f"./{file}.toml").write_text('system = "pendulum"\nn = 1\nframes = 1\nresolution = 8')
    assert invoke("render", "--quiet", "--recipe", f"./{file}.toml")[0] == 0
    assert Path("datasets", name, "manifest.json").is_file()


def test_recipes_that_cannot_be_read(invoke, monkeypatch):
    Path("latin.toml").write_bytes('system = "pendülum"'.encode("latin-1"))
    Path("set").mkdir()
    Path("locked.toml").touch()
    with monkeypatch.context() as patch:  # for root, no permission is missing

        def denied(path: Path) -> bytes:
            raise PermissionError(13, "Permission denied", str(path))

        patch.setattr(Path, "read_bytes", denied)
        status, message = invoke(*RENDER, "--recipe", "locked.toml")
    assert (status, message.count("\n")) == (2, 1)
    assert "locked.toml cannot be read (Permission denied)" in message
    Path("locked.toml").unlink()
    Path("folder.toml").mkdir()
    status, message = invoke(*RENDER, "--recipe", "folder.toml")
    assert (status, message.count("\n")) == (2, 1)
    assert "'folder.toml', but there is no such file" in message
    for text in ("{", "{}", '{"recipe": 3}'):
        Path("set/manifest.json").write_text(text)
        for recipe, words in (
            ("set", ["set/manifest.json"]),
            ("latin.toml", ["latin.toml", "TOML"]),
        ):
            status, message = invoke(*RENDER, "--recipe", recipe)
            assert status == 2
            assert message.count("\n") == 1
            assert all(word in message for word in words), message
    assert sorted(path.name for path in Path().iterdir()) == ["folder.toml", "latin.toml", "set"]


def test_overwriting_takes_away_a_data_set_and_nothing_else(invoke):
    render = ("render", "--system", "pendulum", "--quiet", "--out", "mine")
    assert invoke(*render, "--n", "3")[0] == 0
    names = ("thesis/results.h5", "train/notes.h5", "a.txt", "README.md")
    strangers = [Path(f"mine/{name}") for name in names]
    for path in strangers:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    shards = [path for path in Path("mine").rglob("*.h5") if path.stem.isdigit()]
    before = [path.read_bytes() for path in shards]
    status, _ = invoke(*render, "--n", "4", "--overwrite", "--scheduler", "nowhere")
    assert status == 2
    assert [path.read_bytes() for path in shards] == before
    assert invoke(*render, "--n", "4", "--overwrite")[0] == 0
    assert all(path.read_text() == "mine" for path in strangers)
    shards[0].unlink()
    shards[0].mkdir()
    status, message = invoke(*render, "--n", "4", "--overwrite")
    assert status == 2
    assert f"out: cannot write to '{shards[0]}' (" in message
    assert message.count("\n") == 1


def test_what_cannot_be_computed_names_the_trajectory_and_writes_nothing(invoke):
    status, message = invoke(
        "render", "--quiet", "--system", "two_body", "--n", "5", "--param", "G=1e300", "--out", "s"
    )
    assert status == 2
    assert message.count("\n") == 1
    assert all(word in message for word in ("train split", "trajectory 0", "G=1e+300")), message
    assert not list(Path().iterdir())


LARGE = {
    "energy": ("--integrator", "leapfrog", "--param", "radius=1e160"),
    "q_drawn": ("--noise", "1e308"),
    "dp_dt": (
        *("--integrator", "leapfrog", "--friction", "1e200", "--param", "radius=1e120"),
        *("--dt", "1e-300", "--store", "derivatives"),
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_is_too_large_to_be_stored_names_the_trajectory_and_writes_nothing(invoke, name):
    render = ("render", "--quiet", "--system", "pendulum", "--n", "3", "--out", "s")
    status, message = invoke(*render, *LARGE[name])
    assert status == 2
    assert message.count("\n") == 1
    assert f"train split, pendulum: trajectory 0: {name} is not finite (m=" in message
    assert not list(Path().iterdir())


def test_a_folder_without_a_shard_is_free(invoke):
    """Another recipe than that of a run which stopped before its first shard may be used."""
    Path("mine").mkdir()
    Journal(Path("mine")).begin({"system": "two_body"}, {})
    assert invoke("render", "--system", "pendulum", "--quiet", "--n", "3", "--out", "mine")[0] == 0


def test_ranges_that_never_fit_the_canvas_are_refused_before_anything_is_replaced(invoke):
    render = ("render", "--system", "two_body", "--quiet", "--n", "3", "--out", "mine")
    status, message = invoke(*render, "--param", "radius=5:6")
    assert status == 2
    assert "expected a larger half_width or smaller ranges" in message
    assert "substeps" not in message
    assert not list(Path().iterdir())
    assert invoke(*render)[0] == 0
    before = {path: path.read_bytes() for path in Path("mine").rglob("*") if path.is_file()}
    assert invoke(*render, "--param", "radius=5:6", "--overwrite")[0] == 2
    assert before == {
        path: path.read_bytes() for path in Path("mine").rglob("*") if path.is_file()
    }


def test_where_a_step_is_unstable_that_is_said(invoke):
    words = ("--integrator", "leapfrog", "--dt", "3", "--n", "3", "--out", "mine")
    status, message = invoke("render", "--system", "mass_spring", "--quiet", *words)
    assert status == 2
    assert "more substeps where leapfrog is unstable" in message


def test_a_folder_with_another_data_set_is_left_alone(invoke):
    render = ("render", "--system", "pendulum", "--quiet", "--out", "mine")
    assert invoke(*render, "--n", "3")[0] == 0
    before = {path: path.read_bytes() for path in Path("mine").rglob("*") if path.is_file()}
    status, message = invoke(*render, "--n", "4")
    assert status == 2
    assert "mine" in message
    assert "--overwrite" in message
    assert "with another n" in message
    assert before == {
        path: path.read_bytes() for path in Path("mine").rglob("*") if path.is_file()
    }
    assert invoke(*render, "--n", "4", "--overwrite")[0] == 0


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/version").exists(), reason="needs Linux")
def test_a_folder_that_cannot_be_written(invoke):
    Path("file").write_text("in the way")
    for out in ("file", "file/below", "/proc/physim"):
        status, message = invoke("render", "--system", "pendulum", "--n", "3", "--out", out)
        assert status == 2
        assert out in message
        assert message.count("\n") == 1


def test_unknown_command_and_option(invoke):
    status, message = invoke("rendr")
    assert status == 2
    assert "did you mean 'render'" in message
    status, message = invoke("render", "--sistem", "pendulum")
    assert status == 2
    assert "--system" in message


@pytest.mark.parametrize("name", ["render", "systems"])
def test_every_command_has_help_with_an_example(name):
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert "Example:" in result.output
