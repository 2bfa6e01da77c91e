"""The model registry: package groups and the versions in them."""

from __future__ import annotations

import time
from typing import Any

from local_aws.errors import AwsError, validation
from local_aws.sagemaker import names
from local_aws.sagemaker.listing import Listing
from local_aws.sagemaker.tags import Tags
from local_aws.settings import ACCOUNT
from local_aws.state import Document, Store

_GROUPS = Listing("ModelPackageGroupSummaryList", "ModelPackageGroupName")
_PACKAGES = Listing("ModelPackageSummaryList", "ModelPackageArn")
_CREATOR = {"UserProfileArn": f"arn:aws:iam::{ACCOUNT}:root"}
_UPDATABLE = (
    "ModelApprovalStatus",
    "ApprovalDescription",
    "ModelPackageRegistrationType",
    "InferenceSpecification",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
)


class Registry:
    """The model package operations; each takes and returns what its AWS namesake does."""

    def __init__(self, store: Store, tags: Tags) -> None:
        self._store, self._tags = store, tags

    def create_group(self, request: Document) -> Document:
        """Open a group."""
        name = request["ModelPackageGroupName"]
        arn = names.arn(names.PACKAGE_GROUP, name)
        status = {"ModelPackageGroupArn": arn, "ModelPackageGroupStatus": "Completed", "CreatedBy": _CREATOR}
        with self._store.transaction():
            if self._store.get(names.PACKAGE_GROUP, name):
                raise validation(f"Model Package Group already exists: {arn}")
            group = {**request, **status, "CreationTime": time.time(), "_versions": 0}
            self._store.put(names.PACKAGE_GROUP, name, group)
            self._tags.set(arn, request.get("Tags", []))
        return {"ModelPackageGroupArn": arn}

    def describe_group(self, request: Document) -> Document:
        """Return a group."""
        return self._group(request["ModelPackageGroupName"])

    def list_groups(self, request: Document) -> Document:
        """Return a page of groups."""
        return _GROUPS.answer(self._store.all(names.PACKAGE_GROUP), request)

    def delete_group(self, request: Document) -> Document:
        """Remove a group that is empty."""
        group = self._group(request["ModelPackageGroupName"])
        name, arn = group["ModelPackageGroupName"], group["ModelPackageGroupArn"]
        if any(package.get("ModelPackageGroupName") == name for package in self._store.all(names.PACKAGE)):
            raise AwsError("ConflictException", f"Model Package Group {arn} cannot be deleted: it has Model Packages.")
        self._store.delete(names.PACKAGE_GROUP, name)
        self._tags.forget(arn)
        return {}

    def create_package(self, request: Document) -> Document:
        """Register a version in a group, or a package with a name of its own; once per ``ClientToken``."""
        with self._store.transaction():
            known = self._with_token(request.get("ClientToken"))
            if known:
                return known
            group = request.get("ModelPackageGroupName")
            approval = request.get("ModelApprovalStatus", "PendingManualApproval")
            own_name = request.get("ModelPackageName")
            name, fields = self._next_version(group, approval) if group else self._unversioned(own_name)
            package = {**request, **_fresh(name), **fields}
            self._store.put(names.PACKAGE, name, package)
            self._tags.set(package["ModelPackageArn"], request.get("Tags", []))
        return package

    def describe_package(self, request: Document) -> Document:
        """Return a package, by name or ARN."""
        return self._package(request["ModelPackageName"])

    def list_packages(self, request: Document) -> Document:
        """Return a page of packages: of a group, or of those that are in none."""
        group = request.get("ModelPackageGroupName")
        group, approval = names.bare(group) if group else None, request.get("ModelApprovalStatus")
        packages = [
            package
            for package in self._store.all(names.PACKAGE)
            if package.get("ModelPackageGroupName") == group and approval in (None, package.get("ModelApprovalStatus"))
        ]
        return _PACKAGES.answer(packages, request)

    def update_package(self, request: Document) -> Document:
        """Change a package's approval and the other members that may change."""
        with self._store.transaction():
            package = self._package(request["ModelPackageArn"])
            changes = {field: request[field] for field in _UPDATABLE if field in request}
            changes |= {"CustomerMetadataProperties": _metadata(package, request), "LastModifiedBy": _CREATOR}
            additions = request.get("AdditionalInferenceSpecificationsToAdd", [])
            specifications = [*package.get("AdditionalInferenceSpecifications", []), *additions]
            changes |= {"AdditionalInferenceSpecifications": specifications or None, "LastModifiedTime": time.time()}
            return self._store.update(names.PACKAGE, package["_name"], **changes)

    def delete_package(self, request: Document) -> Document:
        """Remove a package; its version number is not given again."""
        package = self._package(request["ModelPackageName"])
        self._store.delete(names.PACKAGE, package["_name"])
        self._tags.forget(package["ModelPackageArn"])
        return {}

    def _group(self, name_or_arn: str) -> Document:
        name = names.bare(name_or_arn)
        group = self._store.get(names.PACKAGE_GROUP, name)
        if group is None:
            raise validation(f"ModelPackageGroup {names.arn(names.PACKAGE_GROUP, name)} does not exist.")
        return group

    def _package(self, name_or_arn: str) -> Document:
        name = names.bare(name_or_arn)
        package = self._store.get(names.PACKAGE, name)
        if package is None:
            raise validation(f"ModelPackage {names.arn(names.PACKAGE, name)} does not exist.")
        return package

    def _with_token(self, token: str | None) -> Document | None:
        packages = self._store.all(names.PACKAGE) if token else []
        return next((package for package in packages if package.get("ClientToken") == token), None)

    def _next_version(self, group_name: str, approval: str) -> tuple[str, dict[str, Any]]:
        group = self._group(group_name)
        name, version = group["ModelPackageGroupName"], group["_versions"] + 1
        self._store.update(names.PACKAGE_GROUP, name, _versions=version)
        fields = {"ModelPackageGroupName": name, "ModelPackageVersion": version, "ModelApprovalStatus": approval}
        return f"{name}/{version}", fields

    def _unversioned(self, name: str | None) -> tuple[str, dict[str, Any]]:
        if name is None:
            raise validation("Either ModelPackageName or ModelPackageGroupName must be given.")
        if self._store.get(names.PACKAGE, name):
            raise validation(f"Model Package already exists: {names.arn(names.PACKAGE, name)}")
        return name, {}


def _fresh(name: str) -> Document:
    return {
        "ModelPackageName": name.partition("/")[0],
        "ModelPackageArn": names.arn(names.PACKAGE, name),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "CreationTime": time.time(),
        "CreatedBy": _CREATOR,
        "_name": name,
    }


def _metadata(package: Document, request: Document) -> Document | None:
    removed = request.get("CustomerMetadataPropertiesToRemove", [])
    merged = {**package.get("CustomerMetadataProperties", {}), **request.get("CustomerMetadataProperties", {})}
    return {key: value for key, value in merged.items() if key not in removed} or None
