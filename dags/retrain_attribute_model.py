"""
### Retrain attribute model

Teaches BLIP-2 to answer questions about a product's picture from the published catalogue (LoRA, one SageMaker
training job), compares the **challenger** with the **champion** on one frozen benchmark, and puts it in service only
if it passes the gate.

| | |
|---|---|
| **Starts** | Mondays at 03:00 UTC; by hand. Skips, saying so, when too few labelled pairs came |
| **Asks** | before a training over budget; before deploying, if `LOOKBOOK_REQUIRE_APPROVAL` is set |
| **Emits** | `attribute_model` |
| **Safe to clear?** | Yes, any task: a cleared job task attaches to its job, a cleared deployment to its endpoint |
| **When it fails** | `docs/runbooks/retrain_attribute_model.md` |
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, dag

from lookbook_airflow.assets import ATTRIBUTE_MODEL
from lookbook_airflow.clearing import HANDS_ON, SAME_AGAIN
from lookbook_airflow.defaults import DEFAULT_ARGS, TELL_REFUSAL, Pool, Tag, about, alerts, promote_anyway
from lookbook_airflow.deployment import deployed
from lookbook_airflow.lineage import collect_lineage, traced_short_circuit, traced_task
from lookbook_airflow.links import EvaluationLink, ModelLink, linked
from lookbook_airflow.operators.approval import ApprovalIfNeededOperator, ModelApprovalOperator
from lookbook_airflow.operators.sagemaker import RegisterModelVersionOperator
from lookbook_airflow.operators.training import TrainingJobOperator

JOB = {"pool": Pool.TRAINING, "execution_timeout": timedelta(hours=10)}


@dag(
    dag_display_name="Retrain attribute model",
    schedule=CronTriggerTimetable("0 3 * * 1", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    **alerts(deadline="retrain"),
    tags=[Tag.MODEL, Tag.TIER_1],
    **about(__doc__),
    params={
        "force": Param(False, type="boolean", title="Force", description="Retrain even if few new pairs came"),
        "promote_anyway": promote_anyway(),
    },
)
def retrain_attribute_model():
    @traced_short_circuit()
    def enough_new_pairs(params: dict, ti: Any = None) -> bool:
        """Go on only if enough question/answer pairs came since the model in service was trained."""
        from lookbook.training import planning

        decision = planning.enough_new_pairs(force=params["force"])
        ti.xcom_push("decision", decision.reference())
        return decision.passed

    @traced_task(execution_timeout=timedelta(hours=2))
    def build_dataset() -> dict:
        """Turn the published catalogue into questions and answers, split by picture."""
        from lookbook.vqa import datasets

        return datasets.build_dataset().reference()

    @traced_task(multiple_outputs=True)
    def estimate_cost(dataset: dict) -> dict:
        """Estimate hours and USD of the training job; over budget, a person is asked."""
        from lookbook.training import cost

        return cost.estimate(dataset).reference()

    @traced_task(clear=HANDS_ON)
    def training_request(dataset: dict, run_id: str) -> dict:
        """Write the CreateTrainingJob request; its name is a function of data set and run."""
        from lookbook.training import requests

        return requests.training_request(dataset, run_id)

    @traced_task(clear=HANDS_ON)
    def evaluation_request(dataset: dict, training: dict, run_id: str) -> dict:
        """Write the request of the job that compares base, challenger and champion on the benchmark."""
        from lookbook.training import requests

        return requests.evaluation_request(dataset, training, run_id)

    @traced_short_circuit(**TELL_REFUSAL)
    def gate(evaluation: dict, dataset: dict, params: dict, dag_run: Any = None, ti: Any = None) -> bool:
        """Let the challenger through only if it beats majority answer, blind control and champion beyond noise."""
        from lookbook.training import age, gating

        override = gating.override_by(params["promote_anyway"], dag_run.triggering_user_name)
        decision = gating.decide(evaluation["model_data"], override, age.older_than_champion(dataset))
        ti.xcom_push("decision", decision.reference())
        return decision.passed

    @traced_task(clear=HANDS_ON, multiple_outputs=True)
    def package_request(dataset: dict, training: dict, evaluation: dict) -> dict:
        """Write the model package's request: artefact, metrics, data set and job it came from."""
        from lookbook.training import registry

        return registry.package_request(dataset, training, evaluation)

    @traced_task(clear=SAME_AGAIN, outlets=[ATTRIBUTE_MODEL])
    def promote(verified: dict, package_arn: str) -> dict:
        """Approve the package in the registry: from here on it is the champion."""
        from lookbook.training import registry

        return registry.approve(package_arn, verified["endpoint_config"]).reference()

    dataset = build_dataset()
    cost = estimate_cost(dataset)
    approve_cost = ApprovalIfNeededOperator(
        task_id="approve_cost",
        needed=cost["needs_approval"],
        subject="Train at this cost?",
        body="{{ ti.xcom_pull('estimate_cost')['sentence'] }}",
        doc_md="Wait for a person's word if training may cost more than `LOOKBOOK_TRAINING_BUDGET_USD`.",
    )
    train = TrainingJobOperator(
        task_id="train", config=training_request(dataset), doc_md="Teach the base with LoRA, on spot capacity.", **JOB
    )
    compare, doc = evaluation_request(dataset, train.output), "Put all models to the same frozen benchmark."
    evaluate = TrainingJobOperator(task_id="evaluate", config=compare, doc_md=doc, **JOB)
    package = package_request(dataset, train.output, evaluate.output)
    register = RegisterModelVersionOperator(
        task_id="register",
        image_uri=package["image_uri"],
        model_url=package["model_url"],
        package_group_name=package["package_group_name"],
        extras=package["extras"],
    )
    approve_model = ModelApprovalOperator(
        task_id="approve_model",
        package_arn=register.output,
        needed=package["needs_approval"],
        subject="Put this model in service?",
        body="{{ ti.xcom_pull('package_request', key='approval_body') }}",
    )

    enough_new_pairs() >> dataset
    approve_cost >> train
    linked(gate(evaluate.output, dataset), EvaluationLink("evaluate")) >> package
    promoted = promote(deployed(register.output, after=approve_model), register.output)
    linked(promoted, ModelLink("register")) >> collect_lineage()


retrain_attribute_model()
