"""The other translations of docker's command line that are decisions only."""

from __future__ import annotations

import datetime
import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from podman_agent.docker import events, flags, gotemplate, health, inspect, listing, login, network, run, top
from podman_agent.docker.direct import is_direct
from podman_agent.docker.options import Option, Spec, letters, parse, words

if TYPE_CHECKING:
    from pathlib import Path


def translated(*args: str, verb: str = "run", made: list[str] | None = None, **env: str) -> list[str]:
    return run.translate(
        list(args), verb, env, lambda name: ("10.0.0.2", f"{name}-name"), (made if made is not None else []).append
    )


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (["-p", "80:80", "img"], ["--publish=80:80", "--network=bridge", "img"]),
        (["-P", "--net", "n", "img"], ["--publish-all", "--net=n", "img"]),
        (["-h", "web", "img"], ["--hostname=web", "--uts=private", "img"]),
        (["--hostname=web", "--domainname=x.org", "img"], ["--hostname=web.x.org", "--uts=private", "img"]),
        (["--shm-size", "1g", "img"], ["--shm-size=1g", "--ipc=private", "img"]),
        (["--shm-size", "1g", "--ipc=host", "img"], ["--shm-size=1g", "--ipc=host", "img"]),
        (["--sysctl", "net.core.x=1", "img"], ["--sysctl=net.core.x=1", "--network=bridge", "img"]),
        (["--link", "db:alias", "img"], ["--add-host=alias:10.0.0.2", "--add-host=db-name:10.0.0.2", "img"]),
        (["--volume-driver", "local", "--isolation=default", "img"], ["img"]),
        (["--mount", "source=v,target=/d,volume-nocopy", "img"], ["--mount=type=volume,source=v,target=/d", "img"]),
        (["--log-driver=awslogs", "--log-opt", "awslogs-group=x", "img"], ["img"]),
        (["--log-driver=none", "--log-opt=max-size=1m", "i"], ["--log-driver=none", "--log-opt=max-size=1m", "i"]),
        (["-it", "img", "sh", "-c", "-p"], ["--interactive", "--tty", "img", "sh", "-c", "-p"]),
        (["img", "--", "-p", ""], ["img", "--", "-p", ""]),
    ],
)  # fmt: skip
def test_run_flags_become_podmans(args: list[str], wanted: list[str]) -> None:
    assert translated(*args) == wanted


def test_the_default_platform_holds_unless_one_is_given() -> None:
    assert translated("img", DOCKER_DEFAULT_PLATFORM="linux/arm64") == ["--platform=linux/arm64", "img"]
    assert translated("--platform=x", "img", DOCKER_DEFAULT_PLATFORM="linux/arm64") == ["--platform=x", "img"]


def test_missing_sources_of_bind_mounts_are_made_and_volumes_left_alone() -> None:
    made: list[str] = []
    translated("-v", "/a/b:/b:rw", "-v", "named:/c", "-v", "/anonymous", "img", made=made)
    assert made == ["/a/b"]


@pytest.mark.parametrize(
    ("verb", "args", "wanted"),
    [
        ("stop", ["--timeout=1", "c"], ["stop", "--time=1", "c"]),
        ("stop", ["-s", "KILL", "-t", "1", "c"], ["stop", "--time=1", "c"]),
        ("logs", ["-n", "5", "-f", "c"], ["logs", "--tail=5", "--follow", "c"]),
        ("cp", ["-aL", "c:/x", "-"], ["cp", "--archive", "c:/x", "-"]),
        ("volume create", ["--name", "v"], ["volume", "create", "v"]),
        ("network create", ["--attachable", "-d", "bridge", "n"], ["network", "create", "--driver=bridge", "n"]),
        ("commit", ["-m", "text", "c", "i"], ["commit", "--format=docker", "--message=text", "c", "i"]),
    ],
)
def test_small_differences_are_a_table(verb: str, args: list[str], wanted: list[str]) -> None:
    assert flags.translate(verb, args) == wanted


@pytest.mark.parametrize(
    "line",
    [
        "run --rm busybox true", "exec -it c sh", "container exec c true", "ps -aq", "build -t a .", "inspect -f . c",
        "build --progress=plain -f D -t a .", "stop --time=1 c", "rm c", "image push a", "container ls", "tag a b",
        "run -v /tmp:/x busybox true", "logs --tail 1 c",
    ],
)  # fmt: skip
def test_what_podman_does_alike_goes_to_it_at_once(line: str) -> None:
    assert is_direct(line.split(), {})


@pytest.mark.parametrize(
    "line",
    [
        "", "-v", "--context default ps", "build --push .", "run -p 1:1 i", "run -itp 1:1 i", "rm -f c",
        "inspect c", "inspect -f {{.Id}} i", "buildx build .", "run -v /var/run/docker.sock:/s i", "images",
        "run -v /no/such/directory:/x i", "ps --format json", "top c", "save a b", "swarm init", "volume prune",
        "-H x ps", "rm -vf c", "logs -n 1 c", "inspect -f {{.State.Health.Status}} c", "ps --filter health=healthy",
        "container stats", "system prune", "container rm -f c",
    ],
)  # fmt: skip
def test_what_differs_does_not(line: str) -> None:
    assert not is_direct(line.split(), {})


@pytest.mark.parametrize("env", [{b"DOCKER_HOST": b"tcp://x"}, {b"DOCKER_DEFAULT_PLATFORM": b"linux/arm64"}])
def test_variables_of_docker_are_looked_at(env: dict[bytes, bytes]) -> None:
    assert not is_direct(["run", "i"], env)
    assert is_direct(["run", "i"], {b"DOCKER_HOST": b"unix:///var/run/docker.sock"})


def test_pflags_forms_are_read() -> None:
    spec = Spec(words("tag file"), words("quiet"), letters("t=tag f=file q=quiet"))
    parsed = parse(["-qtname", "--file", "F", "-f=G", ".", "--quiet=false", "--new", "--other=1"], spec)
    assert parsed.operands == ["."]
    assert parsed.options == [
        Option("quiet", None), Option("tag", "name"), Option("file", "F"), Option("file", "G"),
        Option("quiet", "false"), Option("new", None), Option("other", "1"),
    ]  # fmt: skip


DATA: dict[str, Any] = {
    "Id": "sha256:1", "Names": ["a", "b"], "State": {"Running": True, "Code": 0}, "None": None,
    "Ports": {"80/tcp": [{"HostPort": "18080"}]}, "IPAM": {"Config": [{"Gateway": "10.0.0.1"}]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Id}}", "sha256:1"),
        ("{{ .State.Running }} {{.State.Code}} {{.None}}", "true 0 <no value>"),
        ("{{json .Names}}", '["a","b"]'),
        ("{{.Names}}", "[a b]"),
        ("{{range .Names}}<{{.}}>{{end}}", "<a><b>"),
        ("{{range $i, $n := .Names}}{{$i}}={{$n}} {{end}}", "0=a 1=b "),
        ("{{(index .IPAM.Config 0).Gateway}}", "10.0.0.1"),
        ('{{(index (index .Ports "80/tcp") 0).HostPort}}', "18080"),
        ("{{range $p, $c := .Ports}}{{$p}}:{{(index $c 0).HostPort}}{{end}}", "80/tcp:18080"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ('{{if eq .Id "x"}}1{{end}}{{with .None}}2{{else}}3{{end}}', "3"),
        ('{{join .Names ","}}|{{len .Names}}|{{upper "x"}}|{{printf "%s-%d" .Id 7}}', "a,b|2|X|sha256:1-7"),
        ('{{.Id | printf "%q"}}', '"sha256:1"'),
        ("a\\tb{{- /* comment */ -}} c", "a\tbc"),
        ("{{println .Id}}", "sha256:1\n"),
    ],
)  # fmt: skip
def test_templates_render_as_gos(template: str, text: str) -> None:
    assert gotemplate.render(template, DATA) == text


@pytest.mark.parametrize("template", ["{{.Nope}}", "{{", "{{if .Id}}", "{{nope .Id}}", "{{index .Names 9}}", "{{$x}}"])
def test_a_wrong_template_is_an_error(template: str) -> None:
    with pytest.raises(gotemplate.TemplateError):
        gotemplate.render(template, DATA)


def test_objects_are_spelt_as_docker_spells_them() -> None:
    number = "ab" * 32
    image = inspect.docker_object({"Id": number, "Parent": "", "RepoTags": ["localhost/a:1", "docker.io/library/b:1"]})
    assert (image["Id"], image["Parent"], image["RepoTags"]) == (f"sha256:{number}", "", ["a:1", "b:1"])
    found = inspect.docker_object(
        {"Id": number, "Image": number, "Name": "c", "State": {"Status": "stopped", "Health": {}}}
    )
    assert (found["Id"], found["Image"], found["Name"]) == (number, f"sha256:{number}", "/c")
    assert found["State"] == {"Status": "exited"}


def test_names_in_lists_lose_what_docker_implies_and_keep_their_columns() -> None:
    lines = "localhost/a               1   x\ndocker.io/library/busybox 2   y\nr.example/localhost/z 3 z\n"
    assert listing.familiar_names(lines) == "a               1   x\n".replace("1", "          1", 1) + (
        "busybox 2   y\nr.example/localhost/z 3 z\n"
    )


@pytest.mark.parametrize(
    ("row", "asked", "wanted"),
    [("localhost/a:1", "a", True), ("localhost/a:1", "a:2", False), ("docker.io/library/a:1", "a", True),
     ("r.example:5000/a:1", "r.example:5000/a", True), ("r/a:1", "a", False), ("localhost/ab:1", "a*", True)],
)  # fmt: skip
def test_only_the_names_asked_for_are_listed(row: str, asked: str, wanted: bool) -> None:
    assert listing.named(row, asked) is wanted


@pytest.mark.parametrize(
    ("server", "host"),
    [("", "docker.io"), ("https://index.docker.io/v1/", "docker.io"), ("https://r.example/v1/", "r.example"),
     ("r.example:5000", "r.example:5000"), ("http://127.0.0.1:5000/v2/", "127.0.0.1:5000")],
)  # fmt: skip
def test_registries_are_told_from_docker_commons_urls(server: str, host: str) -> None:
    assert login.host(server) == host


def test_pull_secrets_join_a_temporary_configuration(tmp_path: Path) -> None:
    """What is there wins, the file is private, and the pod's own file is not touched."""
    home, config = tmp_path / "home.json", tmp_path / "config.json"
    home.write_text(json.dumps({"auths": {"base.example": {"auth": "a"}, "both.example": {"auth": "old"}}}))
    config.write_text(json.dumps({"credHelpers": {"x": "y"}, "auths": {"both.example": {"auth": "new"}}}))
    before = home.read_text()
    login.merge_pull_secrets(config, home)
    found = json.loads(config.read_text())
    assert found["auths"] == {"base.example": {"auth": "a"}, "both.example": {"auth": "new"}}
    assert found["credHelpers"] == {"x": "y"}
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert home.read_text() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "home.json"]


def test_a_network_is_shown_in_dockers_structure() -> None:
    found = network.docker_network({
        "name": "podman", "id": "1", "driver": "bridge",
        "subnets": [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}],
        "containers": {"c1": {"name": "db", "interfaces": {"eth0": {"subnets": [{"ipnet": "10.88.0.2/16"}]}}}},
    })  # fmt: skip
    assert found["Name"] == "bridge"
    assert found["IPAM"]["Config"] == [{"Subnet": "10.88.0.0/16", "Gateway": "10.88.0.1"}]
    assert found["Containers"]["c1"]["IPv4Address"] == "10.88.0.2/16"


@pytest.mark.parametrize(
    ("options", "header"),
    [(["-eo", "pid,comm"], "PID COMMAND"), (["-o", "pid=P,args"], "P"), ([], "USER"), (["-eopid,ppid"], "PID PPID")],
)
def test_top_prints_the_columns_that_ps_options_ask_for(options: list[str], header: str) -> None:
    """On this very process, whose pid namespace is real."""
    text = top.table(top.columns(options), top.processes(os.getpid()))
    lines = text.splitlines()
    assert lines[0].split()[: len(header.split())] == header.split()
    assert any(str(os.getpid()) in line.split() for line in lines[1:])


@pytest.mark.parametrize(
    ("log", "seconds", "wanted"),
    [
        ([], 0, True),
        ([{"End": "2026-11-23T10:00:00.123456789Z"}], 2, True),
        ([{"End": "2026-11-23T10:00:00.123456789+00:00"}], 0.5, False),
        ([{"End": "2026-11-23T11:00:00.1+01:00"}], 0.5, False),
    ],
)
def test_a_health_check_runs_when_its_interval_has_passed(
    log: list[dict[str, str]], seconds: float, wanted: bool
) -> None:
    now = datetime.datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=datetime.UTC) + datetime.timedelta(seconds=seconds)
    found = {
        "Config": {"Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000}},
        "State": {"Status": "running", "Health": {"Log": log}},
    }
    assert health.due(found, now) is wanted


def test_no_health_check_runs_in_a_stopped_container_or_without_one() -> None:
    now = datetime.datetime.now(datetime.UTC)
    check = {"Healthcheck": {"Test": ["CMD", "true"]}}
    assert not health.due({"Config": check, "State": {"Status": "exited"}}, now)
    assert not health.due({"Config": {}, "State": {"Status": "running"}}, now)
    assert not health.due({"Config": {"Healthcheck": {"Test": ["NONE"]}}, "State": {"Status": "running"}}, now)


@pytest.mark.parametrize(
    ("line", "uid", "env", "kept"),
    [
        ("-u 1000:1000 i", 1000, {}, True),
        ("-tdu 1000 i", 1000, {}, True),
        ("--user=1000 i", 1000, {}, True),
        ("-u 1000 i", 0, {}, False),
        ("-u 0 i", 1000, {}, False),
        ("-u 10001 i", 1000, {}, False),
        ("i", 1000, {}, False),
        ("-u 1000 --userns=host i", 1000, {}, False),
        ("-u 1000 i", 1000, {"PODMAN_USERNS": "host"}, False),
    ],
)
def test_the_agents_own_user_keeps_its_id_in_a_rootless_pod(
    line: str, uid: int, env: dict[str, str], *, kept: bool
) -> None:
    """The workspace is mounted, and must be writable."""
    argv = run.translate(line.split(), "run", env, lambda _: ("", ""), lambda _: None, uid=uid)
    assert ("--userns=keep-id" in " ".join(argv) or "--userns keep-id" in " ".join(argv)) == kept


def test_an_agent_without_a_name_is_its_containers_root() -> None:
    """The arbitrary uid of OpenShift: podman asks for a passwd entry to keep an id."""
    args = ["-u", "1000:0", "-t", "i"]
    argv = run.translate(args, "run", {}, lambda _: ("", ""), lambda _: None, uid=1000, named=False)
    assert argv[-1] == "i"
    assert not {"-u", "--user", "1000:0"} & set(argv)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1700000000", 1700000000.0),
        ("1700000000.5", 1700000000.5),
        ("1h30m", 4600.0),
        ("1.5s", 9998.5),
        ("2023-11-14T22:13:20Z", 1700000000.0),
        ("2023-11-14T22:13:20.5+00:00", 1700000000.5),
        ("", None),
        ("soon", None),
        ("10x", None),
        ("m", None),
    ],
)
def test_moments_are_read_as_docker_reads_them(text: str, wanted: float | None) -> None:
    assert events.moment(text, 10000.0) == wanted


def test_only_events_with_an_end_are_translated() -> None:
    assert is_direct(["events", "--since", "1h", "--format", "json"], {})
    assert not is_direct(["events", "--until=1s"], {})
    assert not is_direct(["system", "events", "--until", "1s"], {})


@pytest.mark.parametrize(
    ("line", "marked", "wanted"),
    [
        ("1700000000500000000\x1fstart", True, (1700000000.5, "start")),
        ('{"Name":"ev","time":1700000000,"timeNano":1700000000500000000}', False, (1700000000.5, None)),
        ("2023-11-14 23:13:20.500000001 +0100 CET container start 0a (image=b)", False, (1700000000.5, None)),
        ("2023-11-14 22:13:20 +0000 UTC container start 0a", False, (1700000000.0, None)),
        ("what is this", False, (0.0, None)),
    ],
)
def test_each_form_of_an_event_tells_its_time(line: str, marked: bool, wanted: tuple[float, str | None]) -> None:
    when, row = events._when(line, marked=marked)
    assert (pytest.approx(when), row) == (wanted[0], wanted[1] or line)
