from __future__ import annotations

from lookbook.aws import async_client


async def test_an_async_client_has_the_connections_asked_for_and_reaches_the_endpoint(aws_server: str) -> None:
    async with async_client("s3", connections=3) as s3:
        await s3.put_object(Bucket="lookbook", Key="a", Body=b"x")
        assert (await s3.list_objects_v2(Bucket="lookbook"))["KeyCount"] == 1
        assert s3.meta.endpoint_url == aws_server
        assert s3.meta.config.max_pool_connections == 3
        assert s3.meta.config.retries["mode"] == "standard"


async def test_an_async_client_of_a_caller_that_retries_itself_sends_once(aws_server: str) -> None:
    async with async_client("sagemaker-runtime", connections=1, attempts=1) as runtime:
        assert runtime.meta.config.retries["total_max_attempts"] == 1
