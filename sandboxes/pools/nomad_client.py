"""The part of Nomad's HTTP API that pools need (developer.hashicorp.com/nomad/api-docs), version 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandboxes.sandbox import SandboxError

if TYPE_CHECKING:
    import httpx2

ANSWER_SECONDS = 30.0
WAIT_SECONDS = 60
"""How long a blocking query waits for a change; Nomad adds up to a sixteenth."""


class NomadError(SandboxError):
    """Nomad could not be asked, or refused. `status` is HTTP's, 0 where there was no answer."""

    def __init__(self, words: str, status: int = 0) -> None:
        super().__init__(words)
        self.status = status


class NomadClient:
    """
    Args:
        address: of the HTTP API, e.g. http://127.0.0.1:4646.
        token: an ACL token that may submit, scale and read jobs; empty where ACLs are off.
        region: empty for the server's own.
    """

    def __init__(
        self, address: str, token: str = "", *, namespace: str = "default", region: str = ""
    ) -> None:
        self.address = address.rstrip("/")
        self._headers = {"X-Nomad-Token": token} if token else {}
        self._where = {"namespace": namespace, **({"region": region} if region else {})}
        self._http: httpx2.AsyncClient | None = None

    async def leader(self) -> str:
        """HOST:PORT of the leading server; empty if none leads."""
        answer, _ = await self._ask("GET", "/v1/status/leader")
        return str(answer)

    async def jobs(self, prefix: str) -> list[dict[str, Any]]:
        answer, _ = await self._ask("GET", "/v1/jobs", {"prefix": prefix})
        return list(answer)

    async def register(self, job: Mapping[str, Any]) -> str:
        """The id of the evaluation it brings about; also of a job that is there and is to change."""
        answer, _ = await self._ask("POST", "/v1/jobs", body={"Job": job})
        return str(answer["EvalID"])

    async def scale(self, job: str, group: str, count: int) -> str:
        """The id of the evaluation."""
        body = {"Count": count, "Target": {"Group": group}, "Message": "as many as the pool needs"}
        answer, _ = await self._ask("POST", f"/v1/job/{job}/scale", body=body)
        return str(answer["EvalID"])

    async def deregister(self, job: str, *, purge: bool) -> None:
        """Stop all of it. Without `purge` Nomad keeps it on record until its garbage collection."""
        await self._ask("DELETE", f"/v1/job/{job}", {"purge": "true" if purge else "false"})

    async def allocations(self, job: str, index: int = 0) -> tuple[list[dict[str, Any]], int]:
        """(stubs, index). With an index from before it answers once something has changed since, or after
        a minute: ask again with the index it gave."""
        answer, now = await self._ask("GET", f"/v1/job/{job}/allocations", {"all": "true"}, index=index)
        # Of a cluster that was restored from a backup the index may be lower: begin anew.
        return list(answer), now if now >= index else 0

    async def allocation(self, id: str) -> dict[str, Any]:
        answer, _ = await self._ask("GET", f"/v1/allocation/{id}")
        return dict(answer)

    async def stop_allocation(self, id: str) -> None:
        """Nomad starts another in its place, if the job's count asks for it."""
        await self._ask("POST", f"/v1/allocation/{id}/stop", body={})

    async def evaluated(self, id: str) -> dict[str, Any]:
        """The evaluation, once it is done."""
        index = 0
        while True:
            answer, index = await self._ask("GET", f"/v1/evaluation/{id}", index=index)
            if answer["Status"] != "pending":
                return dict(answer)

    async def close(self) -> None:
        if self._http is not None:
            http, self._http = self._http, None
            await http.aclose()

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        index: int = 0,
    ) -> tuple[Any, int]:
        import httpx2

        if self._http is None:
            self._http = httpx2.AsyncClient(base_url=self.address, headers=self._headers, trust_env=False)
        parameters = {**self._where, **(query or {})}
        if index:
            parameters |= {"index": str(index), "wait": f"{WAIT_SECONDS}s"}
        seconds = ANSWER_SECONDS + (WAIT_SECONDS * 17 / 16 if index else 0)
        try:
            answer = await self._http.request(method, path, params=parameters, json=body, timeout=seconds)
            if answer.status_code >= 400:
                raise NomadError(_refusal(method, path, answer.status_code, answer.text), answer.status_code)
            return answer.json(), int(answer.headers.get("X-Nomad-Index", "0"))
        except (httpx2.HTTPError, OSError) as error:
            told = str(error) or type(error).__name__
            raise NomadError(f"nomad: {self.address} cannot be reached: {told}; see nomad.address") from error
        except ValueError as error:
            raise NomadError(f"nomad: {self.address} does not speak as Nomad does: {error}") from error


def _refusal(method: str, path: str, status: int, words: str) -> str:
    told = f"nomad: {method} {path} was refused with {status}: {' '.join(words.split())[:500]}"
    return f"{told}; set NOMAD_TOKEN to a token that may do that" if status in (401, 403) else told
