"""Drives podman: build, push, pull and the rest, with retries, events and checked results.

It runs the command line, because that streams, takes credentials per call and has the flags; see
`podman_agent.engine.service` for what goes better over the REST API.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podman_agent.engine import events, process
from podman_agent.engine.calls import PodmanCli, sha
from podman_agent.engine.results import BuildResult, CopyResult, ImageInfo, Layer, PullResult, PushResult, RunResult
from podman_agent.errors import MismatchError, PodmanAgentError
from podman_agent.explain.transfers import UNAUTHORIZED
from podman_agent.plan.reference import Reference
from podman_agent.registry import retry
from podman_agent.registry.registriesconf import registries_conf
from podman_agent.spans import spanned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from podman_agent.engine.options import BuildOptions
    from podman_agent.registry.client import Manifest


class Engine(PodmanCli):
    """Podman, typed; see `PodmanCli` for its arguments."""

    @spanned("podman-agent.build")
    def build(self, options: BuildOptions) -> BuildResult:
        """Build an image.

        Only what the network did is tried again, never a step that failed by itself.

        Raises:
            EngineError: If the build fails; it has podman's own exit code and last error line.
            TransientError: If a registry stayed unreachable.
        """
        what = f"build {options.tags[0] if options.tags else options.context}"
        lists = len(options.platforms) > 1
        with tempfile.TemporaryDirectory(prefix="podman-agent-") as scratch:
            iid, argv = Path(scratch, "iid"), ["build", *options.flags(), *self.access.flags()]
            argv += [f"--iidfile={iid}"] if not lists else []
            argv += self._pairs("--build-arg", options.args, Path(scratch, "args"))
            argv += self._no_retry((5, 3, 0))
            names = options.tags or ((f"localhost/podman-agent-{os.getpid()}",) if lists else ())
            if lists:
                argv.append(f"--manifest={names[0]}")
            else:
                argv += [f"--tag={t}" for t in names]
            argv.append(options.context)
            text = None if options.stdin is None else options.stdin.encode()

            def attempt() -> process.Finished:
                if lists:  # a list made by a failed attempt would get the same images twice
                    self._run(["manifest", "rm", "--ignore", names[0]], what, quiet=True)
                return self._checked(argv, what, stdin=text)

            with self._timed() as seconds:
                done, attempts = retry.call(attempt, what, self.policy, self._tell(what))
                if lists and self._instances(names[0]) < len(options.platforms):
                    # `FROM scratch` on a second platform takes the first one's image from the cache
                    reason = "one image served for several platforms: again without the cache"
                    self._emit(events.Event("log", names[0], reason))
                    argv.insert(1, "--no-cache")
                    done, more = retry.call(attempt, what, self.policy, self._tell(what))
                    attempts += more - 1
                for name in names[1:] if lists else ():
                    self.tag(names[0], name)
                image_id = self._id(names[0]) if lists else iid.read_text().strip()
        cached = sum("Using cache" in line for line in done.stdout.splitlines())
        steps = sum(events.parse(line, what).kind == "step" for line in done.stdout.splitlines())
        return BuildResult(sha(image_id), names, seconds(), attempts, cached, steps, lists)

    def _instances(self, name: str) -> int:
        listed = json.loads(self.call(["manifest", "inspect", name], f"inspect {name}"))
        return len(listed["manifests"])

    @spanned("podman-agent.push")
    def push(self, image: str, destination: str = "", *, manifest: bool = False) -> PushResult:
        """Push an image and compare what the registry then has with what was sent.

        Args:
            image: Local name or id.
            destination: Name in the registry; the local name when empty.
            manifest: It is a manifest list: push it with all its images.

        Raises:
            EngineError: If the registry refuses.
            TransientError: If it kept failing.
            MismatchError: If the registry has something else than what was sent.
        """
        there = Reference.parse(destination or image)
        what = f"push {there}"
        # What a later attempt finds there may have been sent by an earlier one: the first that
        # finished a layer knows what the registry had before.
        seen: list[set[str]] = []

        def note(event: events.Event) -> None:
            if event.kind == "layer" and event.state == "skipped":
                seen[-1].add(event.layer)
            elif event.kind == "layer" and event.state == "done":
                seen[-1].add("")

        with tempfile.TemporaryDirectory(prefix="podman-agent-") as scratch:
            digest = Path(scratch, "digest")
            argv = ["manifest", "push", "--all"] if manifest else ["push"]
            argv += [*self.access.flags(), f"--digestfile={digest}"]
            argv += [] if manifest else self._no_retry((5, 0, 0))
            argv += [image, f"docker://{there}"]

            def attempt() -> None:
                seen.append(set())
                done = self._run(argv, what, terminal=True, note=note)
                if not done.returncode:
                    return
                error, verdict = self._failure(done, what)
                # A new podman gets a new token; that is tried once only.
                if verdict.known is UNAUTHORIZED and len(seen) == 1 and self._opens(there):
                    msg = "the token expired"
                    raise retry.RetryableError(msg, why=error.why) from error
                self._fail(error, verdict, there)

            with self._timed() as seconds:
                _, attempts = retry.call(attempt, what, self.policy, self._tell(what))
                sent = digest.read_text().strip()
        found, images = self._verified(there, sent)
        before = next((names for names in seen if names), set())
        layers = {d: Layer(d, size) for one in images for d, size in one.layers.items()}
        skipped = [d for d in layers if d.removeprefix("sha256:")[:12] in before]
        pushed = tuple(layer for d, layer in layers.items() if d not in skipped)
        kept = tuple(layers[d] for d in skipped)
        self._emit(events.Event("done", str(there), f"pushed {there}@{sent}"))
        took = seconds()
        return PushResult(str(there), sent, found.config_digest, pushed, kept, took, attempts)

    def _opens(self, there: Reference) -> bool:
        """Tell an expired token from a refused login: the latter opens nothing."""
        try:
            self._registry(there).manifest(there.repository, there.version)
        except PodmanAgentError:
            return False
        return True

    def _verified(self, there: Reference, sent: str) -> tuple[Manifest, list[Manifest]]:
        """Compare; gives the manifest and those of its images, which for an image is itself."""
        registry = self._registry(there)
        found = registry.manifest(there.repository, there.version)
        if found and found.digest != sent and registry.manifest(there.repository, sent):
            # the registry does have what was sent: a byte flipped on its way back, or the tag is another's by now
            found = registry.manifest(there.repository, there.version)
        if found is None or found.digest != sent:
            has = found.digest if found else "no such manifest"
            msg = f"push {there} is not what the registry has"
            raise MismatchError(
                msg,
                f"sent {sent}, the registry has {has}",
                "another job may have pushed the same tag: push by a tag of your own",
            )
        if not found.children:
            return found, [found]
        images = [registry.manifest(there.repository, child) for child in found.children]
        if missing := [c for c, i in zip(found.children, images, strict=True) if i is None]:
            msg = f"push {there} is not whole"
            raise MismatchError(msg, f"the registry does not have {', '.join(missing)}")
        return found, [i for i in images if i]

    @spanned("podman-agent.pull")
    def pull(self, image: str, platform: str = "") -> PullResult:
        """Pull an image.

        Args:
            image: Its name.
            platform: ``os/arch``; this machine's when empty.

        Raises:
            EngineError: If there is no such image or it is refused.
            TransientError: If the registry kept failing.
        """
        what = f"pull {image}"
        argv = ["pull", *self.access.flags(), *self._no_retry((5, 0, 0))]
        argv += [f"--platform={platform}"] if platform else []
        there = Reference.parse(image)

        def attempt() -> process.Finished:
            return self._checked([*argv, image], what, registry=there, terminal=True)

        with self._timed() as seconds:
            done, attempts = retry.call(attempt, what, self.policy, self._tell(what))
        image_id = done.stdout.strip().splitlines()[-1]
        digest = self.inspect(image_id)["Digest"]
        self._emit(events.Event("done", image, f"pulled {image}@{digest}"))
        return PullResult(image, sha(image_id), digest, seconds(), attempts)

    @spanned("podman-agent.copy")
    def copy(self, source: str, destination: str) -> CopyResult:
        """Copy an image with all its platforms from registry to registry, unchanged.

        Uses skopeo; nothing is stored here.

        Raises:
            EngineMissingError: If skopeo is not installed.
            MismatchError: If the copy is not the same.
        """
        start, end = Reference.parse(source), Reference.parse(destination)
        what = f"copy {start} to {end}"
        flags = [f for f in self.access.flags() if f.startswith("--authfile")]
        for side, reference in (("src", start), ("dest", end)):
            flags += [f"--{side}-tls-verify=false"] if self._registry(reference).insecure else []
            flags += [f"--{side}-cert-dir={self.access.cert_dir}"] if self.access.cert_dir else []
        argv = ["skopeo", *registries_conf(), "copy", "--all", "--preserve-digests", "--retry-times=0", *flags]
        with tempfile.TemporaryDirectory(prefix="podman-agent-") as scratch:
            digest = Path(scratch, "digest")
            argv += [f"--digestfile={digest}", f"docker://{start}", f"docker://{end}"]

            def attempt() -> None:
                limit = self.policy.attempt_timeout
                done = process.run(argv, on_line=self._line(str(end)), timeout=limit)
                if done.returncode:
                    self._fail(*self._failure(done, what), end)

            with self._timed() as seconds:
                _, attempts = retry.call(attempt, what, self.policy, self._tell(what))
                sent = digest.read_text().strip()
        found, _ = self._verified(end, sent)
        return CopyResult(str(start), str(end), found.digest, seconds(), attempts)

    def tag(self, image: str, *names: str) -> None:
        """Give an image more names."""
        self.call(["tag", image, *names], f"tag {image}")

    def manifest(self, name: str, images: Sequence[str]) -> str:
        """Make a manifest list of local images, replacing one of that name.

        Returns:
            Its id.
        """
        what = f"manifest {name}"
        self.call(["manifest", "rm", "--ignore", name], what)
        self.call(["manifest", "create", name], what)
        for image in images:
            # A bare local name would be looked for in a registry.
            self.call(["manifest", "add", name, f"containers-storage:{image}"], what)
        return self._id(name)

    @spanned("podman-agent.login")
    def login(self, registry: str, username: str, password: str) -> None:
        """Log in; the password goes through stdin only and is masked from now on.

        Raises:
            EngineError: If the registry does not accept it.
        """
        self.redact.add(password)
        argv = ["login", *self.access.flags(), f"--username={username}", "--password-stdin", registry]
        what = f"login to {registry}"

        def attempt() -> None:
            self._checked(argv, what, stdin=password.encode())

        retry.call(attempt, what, self.policy, self._tell(what))

    def logout(self, registry: str) -> None:
        """Forget the login of a registry."""
        flags = [f for f in self.access.flags() if f.startswith("--authfile")]
        self.call(["logout", *flags, registry], f"logout from {registry}")

    def run(
        self,
        image: str,
        command: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        stdin: bytes | None = None,
        check: bool = True,
    ) -> RunResult:
        """Run a container to its end and remove it.

        Args:
            image: What to run.
            command: Its command.
            env: Variables; handed over in a file, not in argv.
            options: Further flags of `podman run`.
            stdin: What it reads.
            check: Raise if it fails.

        Raises:
            EngineError: If it fails; the exit code is the container's own.
        """
        what = f"run {image}"
        with tempfile.TemporaryDirectory(prefix="podman-agent-") as scratch:
            argv = ["run", "--rm", *(["-i"] if stdin is not None else [])]
            argv += self._pairs("--env", env or {}, Path(scratch, "env"))
            argv += [*options, image, *command]
            done = self._run(argv, what, stdin=stdin)
        if check and done.returncode:
            raise self._failure(done, what)[0]
        return RunResult(done.returncode, done.stdout, done.stderr)

    def inspect(self, name: str, kind: str = "image") -> dict[str, Any]:
        """Give what podman knows about an image, container, volume or network."""
        done = self.call(["inspect", f"--type={kind}", name], f"inspect {name}")
        found: dict[str, Any] = json.loads(done)[0]
        return found

    def images(self, *filters: str) -> list[ImageInfo]:
        """List local images.

        Args:
            filters: As `podman images --filter` has them: `reference=*/team/*`, `label=x=y`.
        """
        argv = ["images", "--format=json", *(f"--filter={f}" for f in filters)]
        rows = json.loads(self.call(argv, "images") or "[]")
        return [
            ImageInfo(
                sha(row["Id"]),
                tuple(row.get("Names") or ()),
                row.get("Digest") or "",
                row["Size"],
                row["Created"],
            )
            for row in rows
        ]

    def prune(self, *filters: str, unused: bool = False) -> list[str]:
        """Remove dangling images.

        Args:
            filters: As `podman image prune --filter` has them: `until=24h`.
            unused: Remove images that no container uses, named or not.

        Returns:
            Ids of the images removed.
        """
        argv = ["image", "prune", "--force", *(["--all"] if unused else [])]
        argv += [f"--filter={f}" for f in filters]
        return self.call(argv, "prune").split()
