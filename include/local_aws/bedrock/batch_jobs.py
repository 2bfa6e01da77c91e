"""CreateModelInvocationJob, GetModelInvocationJob, ListModelInvocationJobs and StopModelInvocationJob."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Sequence

from local_aws.bedrock.batch import KIND, UNFINISHED, Batches
from local_aws.bedrock.places import Place, check_access
from local_aws.errors import AwsError, unsupported, validation
from local_aws.objects import Location
from local_aws.sagemaker.listing import read_token, write_token
from local_aws.settings import ACCOUNT, Settings
from local_aws.state import Document, Store

MOST_JOBS = 20
_DEFAULT_HOURS, _DEFAULT_PAGE = 24, 100
_ALPHABET = string.ascii_lowercase + string.digits


class BatchJobs:
    """The batch job operations; each takes and returns what its AWS namesake does, in one region."""

    def __init__(self, store: Store, batches: Batches, settings: Settings) -> None:
        self._store, self._batches, self._settings = store, batches, settings

    def create(self, request: Document, region: str) -> Document:
        """Write a job down and begin with it; the same request with the same token is the same job."""
        self._check(request, region)
        with self._store.transaction():
            jobs = self._of(region)
            if same := _same(request, jobs):
                return {"jobArn": same["jobArn"]}
            _check_room(request, jobs)
            job = self._new(request, region)
            self._store.put(KIND, job["_id"], job)
        self._batches.submit(job["_id"])
        return {"jobArn": job["jobArn"]}

    def get(self, request: Document, region: str) -> Document:
        """Return a job."""
        identity = request["jobIdentifier"].rpartition("/")[2]
        job = self._store.get(KIND, identity)
        if job is None or job["_region"] != region:
            told = f"Could not find the model invocation job {request['jobIdentifier']} in {region}."
            raise AwsError("ResourceNotFoundException", told, status=404)
        return job

    def page(self, request: Document, region: str) -> Document:
        """Return a page of jobs, the latest first unless asked otherwise."""
        jobs = sorted(
            (job for job in self._of(region) if _matches(job, request)), key=lambda job: float(job["submitTime"])
        )
        if request.get("sortOrder", "Descending") == "Descending":
            jobs.reverse()
        start = read_token(request.get("nextToken"))
        end = start + request.get("maxResults", _DEFAULT_PAGE)
        token = write_token(end) if end < len(jobs) else None
        return {"invocationJobSummaries": jobs[start:end], "nextToken": token}

    def stop(self, request: Document, region: str) -> Document:
        """Have a job end; what is answered by then is put out."""
        with self._store.transaction():
            job = self.get(request, region)
            if job["status"] not in UNFINISHED:
                told = f"The model invocation job {job['jobArn']} can't be stopped: it is {job['status']}."
                raise AwsError("ConflictException", told)
            self._store.update(KIND, job["_id"], status="Stopping", lastModifiedTime=time.time())
        self._batches.stop(job["_id"])
        return {}

    def _of(self, region: str) -> list[Document]:
        return [job for job in self._store.all(KIND) if job["_region"] == region]

    def _check(self, request: Document, region: str) -> None:
        check_access(Place(request["modelId"], region), self._settings.bedrock_models)
        if request.get("modelInvocationType", "InvokeModel") == "InvokeModel" and "anthropic" not in request["modelId"]:
            raise unsupported(f"A batch job that invokes {request['modelId']} (Anthropic's body, or Converse)")
        source = request["inputDataConfig"]["s3InputDataConfig"]["s3Uri"]
        target = request["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]
        if source == target:
            raise validation(f"Input and output are both {source}. Give the output a location of its own.")
        if not Location.parse(source).key:
            raise validation(f"{source} is a whole bucket. Give a file or a folder.")

    def _new(self, request: Document, region: str) -> Document:
        identity, now = "".join(secrets.choice(_ALPHABET) for _ in range(12)), round(time.time(), 3)
        hours = request.get("timeoutDurationInHours", _DEFAULT_HOURS)
        return {
            "modelInvocationType": "InvokeModel",
            "clientRequestToken": None,
            **request,
            "timeoutDurationInHours": hours,
            "jobArn": f"arn:aws:bedrock:{region}:{ACCOUNT}:model-invocation-job/{identity}",
            "status": "Submitted",
            "submitTime": now,
            "lastModifiedTime": now,
            "jobExpirationTime": now + hours * self._settings.batch_hour,
            "_id": identity,
            "_region": region,
            "_request": request,
        }


def _same(request: Document, jobs: Sequence[Document]) -> Document | None:
    """Return the job that an earlier request with the same token made.

    Raises:
        AwsError: ConflictException: that request asked for something else.
    """
    token = request.get("clientRequestToken")
    same = next((job for job in jobs if token and job["clientRequestToken"] == token), None)
    if same and same["_request"] != request:
        told = f"The clientRequestToken {token} was used for another request, which made {same['jobArn']}."
        raise AwsError("ConflictException", told)
    return same


def _check_room(request: Document, jobs: Sequence[Document]) -> None:
    name, model = request["jobName"], request["modelId"]
    if any(job["jobName"] == name for job in jobs):
        raise AwsError("ConflictException", f"A model invocation job with the name {name} already exists.")
    if sum(job["modelId"] == model and job["status"] in UNFINISHED for job in jobs) >= MOST_JOBS:
        told = f"{MOST_JOBS} batch jobs of {model} are submitted or in progress, which is the quota."
        raise AwsError("ServiceQuotaExceededException", told)


def _matches(job: Document, request: Document) -> bool:
    if (
        request.get("statusEquals") not in (None, job["status"])
        or request.get("nameContains", "") not in job["jobName"]
    ):
        return False
    return bool(request.get("submitTimeAfter", 0.0) < job["submitTime"] < request.get("submitTimeBefore", float("inf")))
