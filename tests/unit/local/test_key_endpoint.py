"""The key of a person's shell: handed out on the loopback address to who knows the path, and to nobody else."""

import json
import urllib.error
import urllib.request

import pytest
from codec_evolution.adapters.secrets import read_secret

from infra.local.key_endpoint import KeyEndpoint, planner_environment

KEY = "sk-ant-test"


def test_the_function_reads_the_key_by_its_address():
    with KeyEndpoint(KEY) as endpoint:
        assert json.loads(read_secret(endpoint.url)) == {"api_key": KEY}


def test_without_the_path_there_is_no_key():
    with KeyEndpoint(KEY) as endpoint:
        root = endpoint.url.rsplit("/", 1)[0]
        for path in ("/", "/anything"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(root + path, timeout=5)


def test_a_page_that_rebinds_its_name_to_this_machine_gets_nothing():
    with KeyEndpoint(KEY) as endpoint:
        request = urllib.request.Request(endpoint.url, headers={"Host": "evil.example:80"})
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(request, timeout=5)


def test_afterwards_the_address_is_dead():
    with KeyEndpoint(KEY) as endpoint:
        pass
    with pytest.raises(urllib.error.URLError):
        read_secret(endpoint.url)


def test_settings_follow_the_shell(tmp_path):
    shell = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": "http://127.0.0.1:8099"}
    with planner_environment("claude", shell, tmp_path) as found:
        assert found["PLANNER_BASE_URL"] == shell["ANTHROPIC_BASE_URL"]
        assert KEY not in str(found)
    with planner_environment("claude", {}, tmp_path) as found:
        assert found == {"PLANNER_BASE_URL": ""}
    with planner_environment("search", shell, tmp_path) as found:
        assert found == {}
