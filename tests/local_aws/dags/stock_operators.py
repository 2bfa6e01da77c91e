"""The provider's own operators, unchanged, against local AWS: run as a script, it runs both DAGs one after the other.

The second finds the first one's endpoint and package group there. As its last line it prints each task's state and
result.
"""

from __future__ import annotations

import json
from datetime import datetime

from airflow.providers.amazon.aws.operators.bedrock import BedrockBatchInferenceOperator, BedrockInvokeModelOperator
from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerEndpointConfigOperator,
    SageMakerEndpointOperator,
    SageMakerModelOperator,
    SageMakerRegisterModelVersionOperator,
    SageMakerTrainingOperator,
)
from airflow.sdk import DAG
from tests.local_aws.conftest import IMAGE, ROLE, training_request

TEXT_MODEL = "anthropic.claude-3-5-haiku-20241022-v1:0"
PROMPT = "<facts>\n- Name: Blue Jeans\n- Fabric: Denim\n</facts>"
MODEL_DATA = "{{ ti.xcom_pull('train')['Training']['ModelArtifacts']['S3ModelArtifacts'] }}"


def flow(name: str, *, deferrable: bool) -> DAG:
    """Return a DAG that trains, registers, deploys and asks Bedrock."""
    with DAG(name, start_date=datetime(2026, 11, 16), schedule=None) as dag:
        waits = {"deferrable": deferrable, "check_interval": 1}
        request = training_request(f"{name}-job", {"seconds": "2"})
        train = SageMakerTrainingOperator(task_id="train", config=request, print_log=deferrable, **waits)
        register = SageMakerRegisterModelVersionOperator(
            task_id="register", image_uri=IMAGE, model_url=MODEL_DATA, package_group_name="stock"
        )
        container = {"Image": IMAGE, "ModelDataUrl": MODEL_DATA}
        registered = {"ModelName": name, "PrimaryContainer": container, "ExecutionRoleArn": ROLE}
        model = SageMakerModelOperator(task_id="model", config=registered)
        variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.g5.xlarge"}
        serving = {"EndpointConfigName": name, "ProductionVariants": [{**variant, "InitialInstanceCount": 1}]}
        config = SageMakerEndpointConfigOperator(task_id="config", config=serving)
        served = {"EndpointName": "stock", "EndpointConfigName": name}
        endpoint = SageMakerEndpointOperator(task_id="endpoint", config=served, **waits)
        body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99}
        describe = BedrockInvokeModelOperator(
            task_id="describe",
            model_id=TEXT_MODEL,
            input_data={**body, "messages": [{"role": "user", "content": PROMPT}]},
        )
        batch = BedrockBatchInferenceOperator(
            task_id="batch",
            job_name=f"{name}-batch",
            role_arn=ROLE,
            model_id=TEXT_MODEL,
            input_uri="s3://data/stock/records.jsonl",
            output_uri="s3://data/stock/described/",
            invoke_kwargs={"modelInvocationType": "Converse"},
            waiter_delay=1,
            deferrable=deferrable,
        )
        train >> register >> model >> config >> endpoint >> describe >> batch
    return dag


DAGS = [flow("synchronous", deferrable=False), flow("deferrable", deferrable=True)]
globals().update({dag.dag_id: dag for dag in DAGS})


def results(dag: DAG) -> dict[str, dict[str, object]]:
    """Run a DAG in this process and return how each task went."""
    run = dag.test()
    return {
        ti.task_id: {"state": ti.state, "result": ti.xcom_pull(task_ids=ti.task_id)} for ti in run.get_task_instances()
    }


if __name__ == "__main__":
    print(json.dumps({dag.dag_id: results(dag) for dag in DAGS}, default=str))  # noqa: T201
