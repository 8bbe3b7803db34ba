"""Go's templates."""

from __future__ import annotations

from typing import Any

import pytest
from podman_agent.docker import gotemplate

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
