# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os

import jsonschema
import pytest
import yaml
from ansible_collections.wirefleet.capture.plugins.module_utils.session.spec import NAME, vantage_id
from ansible_collections.wirefleet.capture.plugins.plugin_utils import plan, schema, units
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_795_428_900_000_000_000
INVENTORY = {"all": ["node1", "node2"], "rdma": ["node1"], "node2": ["node2"], "odd": ["fe80::1%eth0", "a b"]}
CONTEXT = plan.Context(
    hosts_of=lambda pattern: INVENTORY.get(pattern, []),
    expand_filter=lambda words: f"<{words}>",
    now_ns=NOW,
    random_hex="3fa9c1",
    system_of=lambda _host: None,
)
VANTAGE = {"hosts": "all", "device": "eth1"}


def campaign(**changes):
    return {"campaign_vantages": [VANTAGE], "campaign_duration": "60s", **changes}


def test_a_session_has_what_the_design_promises():
    made = plan.make("pfc-storm", campaign(), CONTEXT)
    assert list(made["sessions"]) == ["node1", "node2"]
    session = made["sessions"]["node1"]
    assert session["campaign"] == made["campaign"] == "20261123T101500Z-pfc-storm-3fa9c1"
    assert session["t0_ns"] == NOW + 90 * 10**9
    assert session["limits"] == {"bytes": 2 << 30, "packets": None, "min_free_bytes": None, "min_free_percent": 10.0}
    assert session["vantages"] == [
        {
            "vantage_id": "node1__eth1",
            "device": "eth1",
            "capture_on": None,
            "engine": "auto",
            "engine_reason": None,
            "filter": "<>",
            "snaplen": 256,
            "buffer_mib": None,
            "ring": None,
            "split": None,
            "limits": {"bytes": None, "packets": None},
        }
    ]


def test_several_entries_for_one_host_are_one_session():
    made = plan.make("x", campaign(campaign_vantages=[VANTAGE, {"hosts": "rdma", "device": ["eth2", "eth3"]}]), CONTEXT)
    assert [vantage["device"] for vantage in made["sessions"]["node1"]["vantages"]] == ["eth1", "eth2", "eth3"]
    assert [vantage["device"] for vantage in made["sessions"]["node2"]["vantages"]] == ["eth1"]


def test_settings_of_a_device_are_asked_of_every_device():
    written = {"ethtool": {"features": {"gro": False}, "ring": {"rx": "max"}}, "sysctl_floor": {"net.core.rmem_max": 1}}
    made = plan.make("x", campaign(campaign_settings=written), CONTEXT)
    assert made["sessions"]["node1"]["settings"] == [
        [["ethtool_feature", "eth1", "gro"], False],
        [["ethtool_ring", "eth1", "rx"], "max"],
        [["sysctl_floor", "", "net.core.rmem_max"], 1],
    ]


def test_options_of_a_module_are_written_as_the_module_modprobe_options_writes_them():
    written = {"modprobe_options": {"mlx4_core": {"enable_64b_cqe_eqe": True, "debug_level": 1}}}
    session = plan.make("x", campaign(campaign_settings=written), CONTEXT)["sessions"]["node1"]
    assert [row[1] for row in session["settings"]] == ["Y", "1"]


def test_a_dpvs_port_is_told_from_that_of_another_instance_and_has_no_ethtool_settings():
    ports = [{"hosts": "rdma", "device": "dpdk0", "dpvs": dpvs} for dpvs in ({}, {"ipc_file": "/var/run/lb2.ipc"})]
    written = {"ethtool": {"features": {"gro": False}}}
    session = plan.make("x", campaign(campaign_vantages=ports, campaign_settings=written), CONTEXT)["sessions"]["node1"]
    assert [vantage["vantage_id"] for vantage in session["vantages"]] == ["node1__dpdk0", "node1__dpdk0_var_run_lb2"]
    assert [(vantage["engine"], vantage["device"]) for vantage in session["vantages"]] == [("dpvs_kni", "dpdk0")] * 2
    assert session["vantages"][1]["dpvs"] == {"ipc_file": "/var/run/lb2.ipc"}
    assert "captures dpdk0 of /var/run/lb2.ipc with dpvs_kni" in plan.describe(session, {})
    assert session["settings"] == []


def test_a_port_of_a_dpdk_process_is_told_from_that_of_another():
    ports = [{"hosts": "rdma", "device": "0", "dpdk": dpdk} for dpdk in ({}, {"prefix": "other", "lcore": 7})]
    session = plan.make("x", campaign(campaign_vantages=ports), CONTEXT)["sessions"]["node1"]
    assert [vantage["engine"] for vantage in session["vantages"]] == ["dpdk_dumpcap"] * 2
    assert [vantage["dpdk"] for vantage in session["vantages"]] == [{}, {"prefix": "other", "lcore": 7}]
    assert [vantage["vantage_id"].partition("__")[2] for vantage in session["vantages"]] == ["0_rte", "0_other"]


@pytest.mark.parametrize(
    "changes, sentence",
    [
        (
            {"campaign_vantages": [{**VANTAGE, "engine": "dpvs_kni", "dpdk": {}}]},
            r"campaign_vantages\[1\].dpdk is for the engines dpdk_dumpcap, dpdk_pdump",
        ),
        ({"campaign_vantages": [{**VANTAGE, "dpvs": {}, "dpdk": {}}]}, "excludes dpvs"),
        ({"campaign_vantages": [{**VANTAGE, "dpdk": {"prefix": "../x"}}]}, "prefix"),
        (
            {"campaign_vantages": [{**VANTAGE, "engine": "dumpcap", "dpvs": {}}]},
            r"campaign_vantages\[1\].dpvs is for the engines dpvs_kni",
        ),
        ({"campaign_vantages": [{**VANTAGE, "dpvs": {"ipc": "/x"}}]}, "ipc"),
        ({"campaign_duration": 0}, "campaign_duration is 0"),
        ({"campaign_start": "2020-01-01T00:00:00Z"}, "campaign_start is 2020-01-01T00:00:00Z, which is past"),
        ({"campaign_start": "+1s"}, "less than the lead of 2 s away"),
        ({"campaign_vantages": []}, "must have at least 1 entry"),
        ({"campaign_vantages": [{**VANTAGE, "hosts": "nobody"}]}, "'nobody', which matches no host"),
        (
            {"campaign_vantages": [{**VANTAGE, "engine": "wireshark"}]},
            "engine is 'wireshark'; it must be one of auto, tcpdump",
        ),
        ({"campaign_vantages": [{**VANTAGE, "filter": "-w /etc/passwd"}]}, "filter begins with '-'"),
        ({"campaign_vantages": [{**VANTAGE, "fliter": "udp"}]}, r"no option 'fliter' \(did you mean 'filter'\?\)"),
        ({"campaign_vantages": [{"hosts": "all"}]}, r"campaign_vantages\[1\] lacks 'device'"),
        ({"campaign_vantages": [{**VANTAGE, "device": "../x"}]}, "cannot be a device"),
        ({"campaign_vantages": [VANTAGE, VANTAGE]}, "would capture eth1 twice"),
        ({"campaign_vantages": [{**VANTAGE, "snaplen": -1}]}, "snaplen is -1; it must be at least 0"),
        ({"campaign_vantages": [{**VANTAGE, "ring": {"files": 2, "size": "1k"}}]}, "a ring needs files"),
        ({"campaign_durration": "5s"}, "did you mean 'campaign_duration'"),
        ({"campaign_limits": {"bytes": "lots"}}, "campaign_limits.bytes is 'lots', which is no size"),
        ({"campaign_compress": "lzma"}, "must be one of auto, never, gzip, zstd"),
    ],
)
def test_bad_input_gets_one_clear_sentence(changes, sentence):
    with pytest.raises(units.Unusable, match=sentence):
        plan.make("x", campaign(**changes), CONTEXT)


def test_all_unknown_words_are_said_at_once():
    with pytest.raises(units.Unusable) as caught:
        plan.make("x", campaign(campaign_hots=1, campaign_puth=[]), CONTEXT)
    assert len(str(caught.value).splitlines()) == 2


def test_a_run_cannot_be_started_by_its_id():
    with pytest.raises(units.Unusable, match="is the id of a run"):
        plan.make("20261123T101500Z-pfc-storm-3fa9c1", campaign(), CONTEXT)


def test_vantage_ids_are_file_names():
    made = plan.make("x", campaign(campaign_vantages=[{"hosts": "odd", "device": "eth1"}]), CONTEXT)
    assert [session["vantages"][0]["vantage_id"] for session in made["sessions"].values()] == [
        "fe80_1_eth0-016a8c97__eth1",
        "a_b-c8687a08__eth1",
    ]


@pytest.mark.parametrize(
    "hosts",
    [
        {"a__b": "c", "a": "b__c"},
        {"a:b": "c", "a_b": "c"},
        {"a..b": "c", "a_b": "c"},
        {"h" * 150: "c", "h" * 151: "c"},
    ],
)
def test_two_hosts_never_share_a_folder(hosts):
    context = CONTEXT._replace(hosts_of=lambda pattern: [pattern])
    vantages = [{"hosts": host, "device": device} for host, device in hosts.items()]
    sessions = plan.make("x", campaign(campaign_vantages=vantages), context)["sessions"].values()
    assert len({session["vantages"][0]["vantage_id"] for session in sessions}) == 2


@given(pairs=st.sets(st.tuples(st.text("ab_.-:", min_size=1, max_size=5), st.text("ab_", min_size=1, max_size=4)), min_size=2))
def test_the_folder_of_a_vantage_says_which_it_is(pairs):
    assert len({vantage_id(host, device) for host, device in pairs}) == len(pairs)
    assert all(NAME.match(vantage_id(host, device)) for host, device in pairs)


def test_two_devices_of_a_host_that_would_share_a_folder_are_refused():
    with pytest.raises(units.Unusable, match="node1 would capture mlx5_0:1 and mlx5_0_1 into one folder, node1__mlx5_0_1"):
        plan.make("x", campaign(campaign_vantages=[{"hosts": "all", "device": ["mlx5_0:1", "mlx5_0_1"]}]), CONTEXT)


@pytest.mark.parametrize(
    "value",
    [
        campaign(),
        campaign(campaign_vantages=[]),
        campaign(campaign_vantages=[{"hosts": "all"}]),
        campaign(campaign_vantages="all"),
        campaign(campaign_vantages=[{**VANTAGE, "snaplen": "all"}]),
        campaign(campaign_vantages=[{**VANTAGE, "snaplen": True}]),
        campaign(campaign_limits={"packets": 0}),
        campaign(campaign_settings={"ethtool": {"features": {"gro": "no"}}}),
        campaign(campaign_compress="lzma"),
        campaign(nonsense=1),
        {},
    ],
)
def test_our_checker_agrees_with_jsonschema(value):
    known = schema.load(schema.CAMPAIGN_FILE)
    ours = schema.problems(value, known, "it")
    theirs = list(jsonschema.Draft202012Validator(known).iter_errors(value))
    assert bool(ours) == bool(theirs)


def test_the_examples_are_valid():
    folder = os.path.dirname(schema.CAMPAIGN_FILE)
    names = [name for name in os.listdir(folder) if name.endswith(".yml")]
    assert names
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8") as handle:
            assert schema.problems(yaml.safe_load(handle), schema.load(schema.CAMPAIGN_FILE), name) == []


def test_the_schemas_use_only_what_our_checker_knows():
    known = {
        "$schema",
        "$id",
        "$defs",
        "$ref",
        "title",
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "minItems",
        "enum",
        "pattern",
        "minimum",
        "description",
    }

    def keywords(node):
        for name, value in node.items():
            yield name
            for inner in value.values() if name in ("properties", "$defs") else [value]:
                if isinstance(inner, dict):
                    yield from keywords(inner)

    for path in (schema.CAMPAIGN_FILE, schema.MANIFEST):
        assert set(keywords(schema.load(path))) <= known


def test_role_defaults_are_the_plan_defaults():
    path = os.path.join(schema.ROOT, "roles", "campaign", "defaults", "main.yml")
    with open(path, encoding="utf-8") as handle:
        defaults = yaml.safe_load(handle)
    assert {name: defaults[name] for name in plan.DEFAULTS} == plan.DEFAULTS


def test_describe_names_changes_and_bytes():
    session = plan.make("x", campaign(), CONTEXT)["sessions"]["node1"]
    preflight = {
        "preview": {"changes": [[["ethtool_feature", "eth1", "rx-gro"], True, False]]},
        "predicted": {"bytes": 1 << 30, "free_bytes": 4 << 30, "why": "the limit"},
    }
    text = plan.describe(session, preflight)
    assert "changes eth1 rx-gro: on -> off" in text
    assert "at most 1.0 GiB of 4.0 GiB free (the limit)" in text
    assert "changes" not in plan.describe(session, preflight, name_changes=False)
    assert "changes no setting" in plan.describe(session, {}, name_changes=False)
    assert json.dumps(session)


@pytest.mark.parametrize(("keep", "words"), [("2d", "the capture stays here for 2 days"), ("0s", "the capture goes once that is verified")])
def test_describe_says_what_travels_instead_of_captures(keep, words):
    session = plan.make("x", campaign(campaign_collect="index", campaign_keep=keep), CONTEXT)["sessions"]["node1"]
    text = plan.describe(session, {"predicted": {"bytes": 4 << 20, "free_bytes": 1 << 30, "index_bytes": 2 << 20}})
    assert f"ships its packet keys, at most 2.0 MiB and usually a fifth of that; {words}" in text
    assert "ships" not in plan.describe(plan.make("x", campaign(), CONTEXT)["sessions"]["node1"], {})


MIRROR = {
    "hosts": "rdma",
    "mirror": {
        "session": 7,
        "sources": [{"interface": "Eth1/31", "direction": "rx"}],
        "destination": {"erspan": {"destination_ip": "192.0.2.9", "erspan_id": 7, "vrf": "default"}},
    },
    "collector": "node2",
    "device": "eth1",
}


def mirrored(system="cisco.nxos.nxos", **changes):
    context = CONTEXT._replace(system_of=lambda _host: system)
    return plan.make("x", campaign(campaign_vantages=[{**MIRROR, **changes}]), context)


def test_a_mirror_is_made_on_the_switch_and_captured_at_the_collector():
    made = mirrored()
    assert list(made["sessions"]) == ["node2"]
    assert made["sessions"]["node2"]["vantages"][0]["filter"] == "<ip proto 47 or ip6 proto 47>"
    (mirror,) = made["mirrors"]
    assert (mirror["switch"], mirror["platform"], mirror["session"]["session"]) == ("node1", "nxos", "7")
    assert mirror["expires"] == "13m", "90 s until the window, 60 s of it, ten minutes and what is missing to a whole one"
    assert made["sessions"]["node2"]["vantages"][0]["mirror"] == {"switches": ["node1"], "sampled": None}


def test_a_vantage_says_that_its_mirror_sends_only_some_packets():
    local = {"session": "CAP", "sources": [{"interface": "Ethernet3"}], "destination": {"interface": "Ethernet48"}, "sample": 1000}
    vantage = mirrored("arista.eos.eos", mirror=local)["sessions"]["node2"]["vantages"][0]
    assert (vantage["mirror"], vantage["filter"]) == ({"switches": ["node1"], "sampled": 1000}, "<>")


@pytest.mark.parametrize(
    ("changes", "system", "message"),
    [
        ({}, None, "nobody says what runs on it; set ansible_network_os"),
        ({}, "arista.eos.eos", "on node1: eos cannot do erspan_id"),
        ({"mirror": {**MIRROR["mirror"], "session": 99}}, "nxos", "on node1: nxos numbers its sessions from 1 to 32, not '99'"),
        ({"collector": "nobody"}, "nxos", "collector is 'nobody', which matches no host"),
        ({"hosts": "nobody"}, "nxos", "hosts is 'nobody', which matches no host"),
    ],
)
def test_a_mirror_that_cannot_be_is_refused_while_planning(changes, system, message):
    with pytest.raises(units.Unusable, match=message):
        mirrored(system, **changes)


def test_mirror_and_collector_belong_together():
    with pytest.raises(units.Unusable, match="belong together"):
        plan.make("x", campaign(campaign_vantages=[{**VANTAGE, "collector": "node2"}]), CONTEXT)


RPCAP = {"hosts": "rdma", "rpcap": {"interface": "ge1/0/1", "port": 2014}, "collector": "node2", "filter": "roce"}


def served(system="wirefleet.capture.comware", **changes):
    context = CONTEXT._replace(system_of=lambda _host: system, address_of=lambda host: f"192.0.2.{host[-1]}")
    return plan.make("x", campaign(campaign_vantages=[{**RPCAP, **changes}]), context)


def test_a_capture_of_a_switch_is_started_there_and_taken_by_the_collector():
    made = served()
    assert made["mirrors"] == [
        {"switch": "node1", "platform": "comware", "capture": {"interface": "GigabitEthernet1/0/1", "direction": "rx", "port": 2014}}
    ]
    (vantage,) = made["sessions"]["node2"]["vantages"]
    assert list(made["sessions"]) == ["node2"]
    assert (vantage["vantage_id"], vantage["engine"], vantage["filter"]) == ("node2__node1", "rpcap", "<roce>")
    assert vantage["rpcap"] == {"server": "192.0.2.1", "port": 2014, "interface": None}
    assert vantage["mirror"] == {"switches": ["node1"], "sampled": None}


def test_several_switches_are_several_vantages_and_a_server_has_no_switch():
    both = served(hosts="all", collector="node2")
    assert [vantage["device"] for vantage in both["sessions"]["node2"]["vantages"]] == ["node1", "node2"]
    direct = {"hosts": "node2", "device": "tap1", "rpcap": {"server": "192.0.2.7", "name": "eth1"}}
    made = plan.make("x", campaign(campaign_vantages=[direct]), CONTEXT)
    assert made["mirrors"] == []
    assert made["sessions"]["node2"]["vantages"][0]["rpcap"] == {"server": "192.0.2.7", "port": None, "interface": "eth1"}


@pytest.mark.parametrize(
    ("changes", "system", "message"),
    [
        ({}, None, "nobody says what runs on it"),
        ({}, "cisco.ios.ios", "on node1: ios serves no capture by RPCAP"),
        ({"rpcap": {"port": 2014}}, "comware", "on which interface"),
        ({"rpcap": {"interface": "a b"}}, "comware", "has no interface 'a b'"),
        ({"engine": "tcpdump"}, "comware", "rpcap is for the engine rpcap"),
        ({"mirror": MIRROR["mirror"]}, "comware", "leave one"),
        ({"ring": {"files": 2, "size": "2M"}, "rpcap": {"interface": "ge1/0/1", "speed": 1}}, "comware", "has no option 'speed'"),
    ],
)
def test_a_capture_of_a_switch_that_cannot_be_is_refused_while_planning(changes, system, message):
    with pytest.raises(units.Unusable, match=message):
        served(system, **changes)


def test_what_is_left_out_is_said():
    for written, message in (({"hosts": "all"}, "lacks 'device'"), ({**VANTAGE, "engine": "rpcap"}, "which needs it")):
        with pytest.raises(units.Unusable, match=message):
            plan.make("x", campaign(campaign_vantages=[written]), CONTEXT)


def test_where_captures_go_is_known_to_every_host_and_said():
    made = plan.make("x", campaign(campaign_collect_to="s3://captures/lab/", campaign_collect_endpoint="https://s3.example.net"), CONTEXT)
    told = {"url": "s3://captures/lab", "endpoint": "https://s3.example.net"}
    assert made["store"] == made["sessions"]["node1"]["store"] == told
    assert f"writes its captures to s3://captures/lab/{made['campaign']}/ at https://s3.example.net" in plan.describe(made["sessions"]["node1"], {})
    home = plan.make("x", campaign(), CONTEXT)
    assert home["store"] is None and "s3://" not in plan.describe(home["sessions"]["node1"], {})


def test_an_endpoint_without_a_place_is_refused():
    with pytest.raises(units.Unusable, match="write both, or neither"):
        plan.make("x", campaign(campaign_collect_endpoint="https://s3.example.net"), CONTEXT)
