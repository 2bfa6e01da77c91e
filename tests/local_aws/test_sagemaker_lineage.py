"""Artifacts, actions, contexts, associations and QueryLineage, through plain boto3 and through sagemaker-core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.local_aws.conftest import Account

from local_aws.errors import AwsError
from local_aws.sagemaker import names
from local_aws.sagemaker.lineage import ASSOCIATION, Associations, Entities
from local_aws.sagemaker.lineage_query import LineageQuery
from local_aws.sagemaker.tags import Tags
from local_aws.state import Document, Store


def artifact(account: Account, uri: str, kind: str = "DataSet", **request: Any) -> str:
    made = account.sagemaker.create_artifact(Source={"SourceUri": uri}, ArtifactType=kind, **request)
    return str(made["ArtifactArn"])


def action(account: Account, name: str, kind: str = "TrainingJob", **request: Any) -> str:
    made = account.sagemaker.create_action(
        ActionName=name, Source={"SourceUri": f"arn:{name}"}, ActionType=kind, **request
    )
    return str(made["ActionArn"])


def context(account: Account, name: str, kind: str = "Endpoint", **request: Any) -> str:
    made = account.sagemaker.create_context(
        ContextName=name, Source={"SourceUri": f"arn:{name}"}, ContextType=kind, **request
    )
    return str(made["ContextArn"])


def associate(account: Account, source: str, destination: str, relation: str = "ContributedTo") -> None:
    account.sagemaker.add_association(SourceArn=source, DestinationArn=destination, AssociationType=relation)


def refusal(call: Any, **request: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as refused:
        call(**request)
    return dict(refused.value.response["Error"])


def test_an_artifact_describes_itself(account: Account) -> None:
    source = {"SourceUri": "s3://data/described/", "SourceTypes": [{"SourceIdType": "S3ETag", "Value": "abc"}]}
    arn = account.sagemaker.create_artifact(
        ArtifactName="described", Source=source, ArtifactType="DataSet", Properties={"pairs": "12"}
    )["ArtifactArn"]
    found = account.sagemaker.describe_artifact(ArtifactArn=arn)
    assert (found["ArtifactName"], found["ArtifactType"], found["Source"]) == ("described", "DataSet", source)
    assert found["Properties"] == {"pairs": "12"}
    assert found["CreationTime"] == found["LastModifiedTime"]
    assert found["LineageGroupArn"].endswith("lineage-group/sagemaker-default-lineage-group")


def test_there_is_one_artifact_of_a_source(account: Account) -> None:
    arn = artifact(account, "s3://data/once/")
    again = {"Source": {"SourceUri": "s3://data/once/"}, "ArtifactType": "Model"}
    error = refusal(account.sagemaker.create_artifact, **again)
    assert error["Code"] == "ValidationException"
    assert "already exists" in error["Message"]
    assert arn in error["Message"]


@pytest.mark.parametrize("make", [action, context])
def test_there_is_one_action_or_context_of_a_name(account: Account, make: Any) -> None:
    name = f"{make.__name__}-once"
    make(account, name)
    with pytest.raises(ClientError, match="already exists"):
        make(account, name)


def test_properties_are_merged_and_removed(account: Account) -> None:
    action(account, "changes", Properties={"a": "1", "b": "2"}, Status="InProgress")
    account.sagemaker.update_action(
        ActionName="changes", Properties={"b": "3", "c": "4"}, PropertiesToRemove=["a"], Status="Completed"
    )
    found = account.sagemaker.describe_action(ActionName="changes")
    assert (found["Properties"], found["Status"]) == ({"b": "3", "c": "4"}, "Completed")
    assert found["LastModifiedTime"] > found["CreationTime"]


def test_an_artifact_can_be_renamed(account: Account) -> None:
    arn = artifact(account, "s3://data/renamed/", ArtifactName="old")
    account.sagemaker.update_artifact(ArtifactArn=arn, ArtifactName="new")
    assert account.sagemaker.describe_artifact(ArtifactArn=arn)["ArtifactName"] == "new"


def test_an_entity_has_thirty_properties_at_most(account: Account) -> None:
    arn = artifact(account, "s3://data/many/", Properties={f"p{number}": "x" for number in range(30)})
    error = refusal(account.sagemaker.update_artifact, ArtifactArn=arn, Properties={"another": "x"})
    assert (error["Code"], "30 properties" in error["Message"]) == ("ValidationException", True)


def test_actions_and_contexts_are_described_by_name_and_by_arn(account: Account) -> None:
    arn = context(account, "by_either")
    for named in ("by_either", arn):
        assert account.sagemaker.describe_context(ContextName=named)["ContextArn"] == arn


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("describe_artifact", {"ArtifactArn": "arn:aws:sagemaker:us-east-1:000000000000:artifact/none"}),
        ("describe_action", {"ActionName": "none"}),
        ("update_context", {"ContextName": "none"}),
        ("delete_artifact", {"Source": {"SourceUri": "s3://data/none/"}}),
        ("query_lineage", {"StartArns": ["arn:aws:sagemaker:us-east-1:000000000000:context/none"]}),
        ("query_lineage", {"StartArns": ["arn:aws:sagemaker:us-east-1:000000000000:experiment-trial-component/job"]}),
    ],
)
def test_what_is_not_there_is_not_found(account: Account, operation: str, request_: dict[str, Any]) -> None:
    assert refusal(getattr(account.sagemaker, operation), **request_)["Code"] == "ResourceNotFound"


def test_entities_are_listed_by_source_and_type_newest_first(account: Account) -> None:
    arns = [artifact(account, f"s3://data/listed/{number}/", "Listed") for number in range(3)]
    listed = account.sagemaker.list_artifacts(ArtifactType="Listed")["ArtifactSummaries"]
    assert [one["ArtifactArn"] for one in listed] == arns[::-1]
    [found] = account.sagemaker.list_artifacts(SourceUri="s3://data/listed/1/")["ArtifactSummaries"]
    assert (found["ArtifactArn"], found["ArtifactType"]) == (arns[1], "Listed")
    assert account.sagemaker.list_artifacts(SourceUri="s3://data/listed/")["ArtifactSummaries"] == []


def test_entities_are_listed_in_pages_and_by_time(account: Account) -> None:
    arns = [action(account, f"paged-{number}", "Paged") for number in range(3)]
    pages = account.sagemaker.get_paginator("list_actions").paginate(
        ActionType="Paged", SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    assert [[one["ActionArn"] for one in page["ActionSummaries"]] for page in pages] == [arns[:2], arns[2:]]
    second = account.sagemaker.describe_action(ActionName="paged-1")["CreationTime"]
    later = account.sagemaker.list_actions(ActionType="Paged", CreatedAfter=second)["ActionSummaries"]
    assert "paged-0" not in {one["ActionName"] for one in later}


def test_an_entity_with_associations_is_not_deleted(account: Account) -> None:
    arn, job = artifact(account, "s3://data/used/"), action(account, "uses")
    associate(account, arn, job)
    assert "has associations" in refusal(account.sagemaker.delete_artifact, ArtifactArn=arn)["Message"]
    account.sagemaker.delete_association(SourceArn=arn, DestinationArn=job)
    assert account.sagemaker.delete_artifact(Source={"SourceUri": "s3://data/used/"})["ArtifactArn"] == arn
    assert artifact(account, "s3://data/used/") != arn


def test_entities_have_tags(account: Account) -> None:
    arn = context(account, "tagged", Tags=[{"Key": "project", "Value": "lookbook"}])
    assert account.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "project", "Value": "lookbook"}]
    account.sagemaker.delete_context(ContextName="tagged")
    with pytest.raises(ClientError, match="Could not find resource"):
        account.sagemaker.list_tags(ResourceArn=arn)


def test_an_association_names_its_ends_and_their_types(account: Account) -> None:
    data, job = artifact(account, "s3://data/named/", ArtifactName="named"), action(account, "trains")
    associate(account, data, job)
    [found] = account.sagemaker.list_associations(DestinationArn=job)["AssociationSummaries"]
    assert (found["SourceArn"], found["SourceName"], found["SourceType"]) == (data, "named", "DataSet")
    assert (found["DestinationArn"], found["DestinationName"], found["DestinationType"]) == (
        job,
        "trains",
        "TrainingJob",
    )
    assert found["AssociationType"] == "ContributedTo"
    assert found["CreationTime"] >= account.sagemaker.describe_action(ActionName="trains")["CreationTime"]


def test_associations_are_listed_by_either_end_type_and_relation(account: Account) -> None:
    data, job, model = artifact(account, "s3://data/l/"), action(account, "l-job"), artifact(account, "s3://m/l", "M")
    associate(account, data, job)
    associate(account, job, model, "Produced")
    listed = account.sagemaker.list_associations

    def pairs(**asked: Any) -> list[tuple[str, str]]:
        found = listed(**asked)["AssociationSummaries"]
        return [(one["SourceArn"], one["DestinationArn"]) for one in found]

    assert pairs(SourceArn=data) == [(data, job)]
    assert pairs(SourceArn=job) == pairs(DestinationArn=model) == pairs(DestinationType="M") == [(job, model)]
    assert pairs(SourceArn=job, AssociationType="ContributedTo") == []
    assert pairs(DestinationArn=job, SourceType="DataSet", SortBy="SourceType") == [(data, job)]


def test_two_entities_are_associated_once(account: Account) -> None:
    data, job = artifact(account, "s3://data/pair/"), action(account, "pair")
    associate(account, data, job)
    with pytest.raises(ClientError, match="already exists"):
        associate(account, data, job, "AssociatedWith")
    with pytest.raises(ClientError, match="with itself"):
        associate(account, job, job)
    missing = "arn:aws:sagemaker:us-east-1:000000000000:action/no-such"
    request = {"SourceArn": data, "DestinationArn": missing}
    assert refusal(account.sagemaker.add_association, **request)["Code"] == "ResourceNotFound"
    assert refusal(account.sagemaker.delete_association, **request)["Code"] == "ResourceNotFound"


class Graph:
    """drop → data set → job → model → endpoint, with an image at the job; in a store of its own."""

    def __init__(self, path: Path) -> None:
        store = self.store = Store(path)
        tags = Tags(store)
        self.artifacts, self.actions, self.contexts = (Entities(store, tags, kind) for kind in names.LINEAGE_KINDS)
        self.associations, self._query = Associations(store), LineageQuery(store)
        self.arns = {
            **{name: self.artifact(name, kind) for name, kind in ARTIFACTS.items()},
            "job": self.actions.create(
                {"ActionName": "job", "ActionType": "TrainingJob", "Source": {"SourceUri": "job"}}
            )["ActionArn"],
            "endpoint": self.contexts.create(
                {"ContextName": "endpoint", "ContextType": "Endpoint", "Source": {"SourceUri": "endpoint"}}
            )["ContextArn"],
        }
        for source, destination in EDGES:
            self.associate(source, destination)

    def artifact(self, uri: str, kind: str) -> str:
        request = {"Source": {"SourceUri": uri}, "ArtifactType": kind, "Properties": {"name": uri}}
        return str(self.artifacts.create(request)["ArtifactArn"])

    def associate(self, source: str, destination: str) -> None:
        self.associations.add({"SourceArn": self.arns[source], "DestinationArn": self.arns[destination]})

    def query(self, start: str, direction: str, **asked: Any) -> Document:
        return self._query.query({"StartArns": [self.arns[start]], "Direction": direction, **asked})

    def reached(self, start: str, direction: str, **asked: Any) -> list[str]:
        """The names of what a query finds, in its order."""
        return [self.name(one["Arn"]) for one in self.query(start, direction, **asked)["Vertices"]]

    def edges(self, found: Document) -> set[tuple[str, str]]:
        return {(self.name(one["SourceArn"]), self.name(one["DestinationArn"])) for one in found["Edges"]}

    def name(self, arn: str) -> str:
        return next(name for name, known in self.arns.items() if known == arn)


ARTIFACTS = {"drop": "Drop", "data": "DataSet", "image": "Image", "model": "Model"}
EDGES = (("drop", "data"), ("data", "job"), ("image", "job"), ("job", "model"), ("model", "endpoint"))


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    graph = Graph(tmp_path / "state.sqlite")
    yield graph
    graph.store.close()


def test_a_query_follows_associations_either_way_nearest_first(graph: Graph) -> None:
    assert graph.reached("endpoint", "Ascendants") == ["endpoint", "model", "job", "data", "image", "drop"]
    assert graph.reached("data", "Descendants") == ["data", "job", "model", "endpoint"]
    assert set(graph.reached("image", "Both")) == set(graph.arns)


def test_a_query_tells_what_each_vertex_is(graph: Graph) -> None:
    vertices = {graph.name(one["Arn"]): one for one in graph.query("endpoint", "Ascendants")["Vertices"]}
    kinds = {name: (one["LineageType"], one["Type"]) for name, one in vertices.items()}
    assert kinds["endpoint"] == ("Context", "Endpoint")
    assert kinds["job"] == ("Action", "TrainingJob")
    assert kinds["drop"] == ("Artifact", "Drop")


def test_a_query_goes_as_deep_as_it_is_asked_and_ten_steps_at_most(graph: Graph) -> None:
    assert graph.reached("endpoint", "Ascendants", MaxDepth=2) == ["endpoint", "model", "job"]
    before = "drop"
    for number in range(10):
        graph.arns[f"older-{number}"] = graph.artifact(f"older-{number}", "Drop")
        graph.associate(f"older-{number}", before)
        before = f"older-{number}"
    # The drop is four steps away: six more are left.
    reached = graph.reached("endpoint", "Ascendants")
    assert "older-5" in reached
    assert "older-6" not in reached


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"Types": ["DataSet", "Drop"]}, ["data", "drop"]),
        ({"LineageTypes": ["Action"]}, ["job"]),
        ({"Properties": {"name": "image"}}, ["image"]),
        ({"Types": ["DataSet"], "LineageTypes": ["Context"]}, []),
        ({"CreatedBefore": 1.0}, []),
        ({"ModifiedAfter": 1.0, "Types": ["Model"]}, ["model"]),
    ],
)
def test_filters_choose_what_is_returned_not_what_is_walked_through(
    graph: Graph, filters: Document, expected: list[str]
) -> None:
    assert graph.reached("endpoint", "Ascendants", Filters=filters) == expected


def test_with_edges_the_way_to_what_is_found_comes_too(graph: Graph) -> None:
    found = graph.query("endpoint", "Ascendants", IncludeEdges=True, Filters={"Types": ["DataSet"]})
    assert [graph.name(one["Arn"]) for one in found["Vertices"]] == ["endpoint", "model", "job", "data"]
    assert graph.edges(found) == {("model", "endpoint"), ("job", "model"), ("data", "job")}
    assert graph.query("endpoint", "Ascendants")["Edges"] == []


def test_the_way_is_the_shortest_when_both_directions_are_walked(graph: Graph) -> None:
    found = graph.query("job", "Both", IncludeEdges=True, Filters={"Types": ["Drop"]})
    assert [graph.name(one["Arn"]) for one in found["Vertices"]] == ["job", "data", "drop"]


def test_a_query_comes_in_pages_each_edge_once(graph: Graph) -> None:
    asked: Document = {"IncludeEdges": True, "MaxResults": 2}
    pages = [graph.query("endpoint", "Ascendants", **asked)]
    while token := pages[-1]["NextToken"]:
        pages.append(graph.query("endpoint", "Ascendants", NextToken=token, **asked))
    assert [len(page["Vertices"]) for page in pages] == [2, 2, 2]
    edges = [edge for page in pages for edge in sorted(graph.edges(page))]
    assert sorted(edges) == sorted(EDGES)


def test_what_was_written_is_there_when_the_file_is_opened_again(graph: Graph, tmp_path: Path) -> None:
    again = Store(tmp_path / "state.sqlite")
    vertices = LineageQuery(again).query({"StartArns": [graph.arns["endpoint"]], "Direction": "Ascendants"})["Vertices"]
    assert [graph.name(one["Arn"]) for one in vertices][-1] == "drop"
    again.close()


def test_an_account_has_as_many_entities_as_aws_lets_it_have(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (names.CONTEXT, ASSOCIATION):
        monkeypatch.setitem(_quotas(), kind, graph.store.count(kind))
    with pytest.raises(AwsError) as refused:
        graph.contexts.create({"ContextName": "one-more", "ContextType": "x", "Source": {"SourceUri": "x"}})
    assert refused.value.code == "ResourceLimitExceeded"
    with pytest.raises(AwsError, match="Associations"):
        graph.associate("drop", "endpoint")


def _quotas() -> dict[str, int]:
    from local_aws.sagemaker import lineage

    return lineage._MOST


@pytest.fixture
def resources(account: Account, monkeypatch: pytest.MonkeyPatch) -> Any:
    """sagemaker-core's resources, with the shared gateway behind them."""
    from sagemaker_core.main import resources, utils

    session = boto3.Session("local", "local", region_name="us-east-1")
    client = utils.SageMakerClient(session=session, region_name="us-east-1")
    monkeypatch.setattr(client, "sagemaker_client", account.sagemaker)
    return resources


def test_sagemaker_core_writes_finds_and_deletes_lineage(resources: Any) -> None:
    shapes = resources.shapes
    data = resources.Artifact.create(
        source=shapes.ArtifactSource(source_uri="s3://data/core/"), artifact_type="DataSet", properties={"pairs": "1"}
    )
    job = resources.Action.create(
        action_name="core-job", source=shapes.ActionSource(source_uri="arn:job"), action_type="TrainingJob"
    )
    resources.Association.add(
        source_arn=data.artifact_arn, destination_arn=job.action_arn, association_type="ContributedTo"
    )
    [found] = resources.Artifact.get_all(source_uri="s3://data/core/")
    assert (found.artifact_arn, found.properties) == (data.artifact_arn, {"pairs": "1"})
    assert found.update(properties={"pairs": "2"}).properties == {"pairs": "2"}
    [association] = resources.Association.get_all(destination_arn=job.action_arn)
    assert (association.source_arn, association.source_type) == (data.artifact_arn, "DataSet")
    association.delete()
    data.delete()
    job.delete()
    assert list(resources.Artifact.get_all(source_uri="s3://data/core/")) == []
