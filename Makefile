# Everything a target needs it sets up itself: Debian packages (as root), environments in .venv and .cache.
PARTS := unit sanity lint docs-lint galaxy molecule integration test-dpdk test-rdma
TREE := .cache/tree/ansible_collections/wirefleet/capture
PYTHON := .venv/bin/python
# The floor runs in .venv; the newest ansible-core only where a Python for it is found.
VENV := .venv/.stamp $(TREE)
NEWEST := .cache/newest/.stamp
TOOLS := .cache/tools/.stamp $(TREE)
# Programs and their Debian packages: real tools read what we write, and write what we read.
CAPTURE := tcpdump=tcpdump dumpcap=wireshark-common tshark=tshark zstd=zstd ip=iproute2 ethtool=ethtool ssh=openssh-client
SCRIPTS := scripts/* tests/tools/*.sh tests/lab/init/*.sh molecule/lab/*.sh .ci/run

FLEET ?= demo
LAB ?= demo
# Integration tests mostly wait for windows, so one more of them than there are cores can run side by side.
CORES ?= $(shell nproc)
WAITERS ?= $(shell echo $$(($(CORES) + 1)))

export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.cache/tree
export PATH := $(CURDIR)/.cache/tools/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1
unexport PYTHONPATH VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help test ready $(PARTS) test-matrix demo demo-rdma bench lab-up lab-rdma lab-down tree clean

help: ## say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

# What keeps the cores busy runs beside its like, and what waits for windows and boots beside its own.
test: ## all that proves the collection but what needs other suites of Debian (test-matrix)
	@$(MAKE) --no-print-directory -j 3 ready
	@tests/tools/parts.sh unit "sanity lint docs-lint galaxy" "molecule integration" test-dpdk test-rdma

ready: $(VENV) $(NEWEST) $(TOOLS)

unit: $(VENV) $(NEWEST) ## unit tests, on the oldest supported ansible-core and on the newest
	@tests/tools/need.sh "the unit tests" $(CAPTURE)
	@for python in .venv .cache/newest; do \
	    [ ! -x $$python/bin/python ] || PYTHONPATH=.cache/tree $$python/bin/python -m pytest -q -n $(CORES) --dist worksteal tests/unit || exit 1; \
	done

sanity: $(VENV) $(NEWEST) ## ansible-test sanity, on both, with every Python for managed hosts that is found
	@tests/tools/need.sh "ansible-test" git=git
	@set --; for venv in .venv .cache/newest; do \
	    [ ! -x $$venv/bin/python ] || set -- "$$@" "tests/tools/ansible_test.sh $$venv sanity --color no"; \
	done; tests/tools/beside.sh "$$@"

lint: $(TOOLS) ## ruff, mypy, shellcheck, yamllint, and ansible-lint with its production profile
	ruff check
	MYPYPATH=.cache/tree mypy -p ansible_collections.wirefleet.capture.plugins -p tests.lab -p tests.dpdk -p tests.dpvs -p tests.demo -p tests.integration -p tests.matrix -p tests.rdma -p tests.switches -p tests.traffic -p tests.truth
	shellcheck $(SCRIPTS)
	yamllint --strict .
	ansible-lint --strict

docs-lint: $(TOOLS) ## the documentation of modules, plugins and roles, and the change log
	antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs all .
	antsibull-changelog lint

galaxy: $(TOOLS) ## build the collection and import it as Galaxy would
	@tests/tools/need.sh "building the collection" git=git
	tests/tools/galaxy.sh

molecule: $(VENV) $(TOOLS) ## the roles, on hosts of the lab
	molecule -c molecule/base.yml test --all

integration: $(VENV) ## campaigns and what may go wrong, on hosts of the lab
	@tests/tools/need.sh "the integration tests" $(CAPTURE) chromium=chromium
	$(PYTHON) -m pytest -q -n $(WAITERS) --dist loadfile tests/integration tests/faults

test-dpdk: $(VENV) ## capturing a real DPDK process, which keeps a core to itself
	@tests/tools/need.sh "the tests of DPDK" $(CAPTURE) dpdk-testpmd=dpdk-dev
	$(PYTHON) -m pytest -q tests/dpdk

test-rdma: $(VENV) ## RDMA, drivers and power cuts on QEMU guests; RDMA_LAB=name takes guests that are up already
	@tests/tools/need.sh "the tests on guests" $(CAPTURE)
	$(PYTHON) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder tests/rdma

test-matrix: $(VENV) ## hosts of Debian 11, 12, 13 and sid, also on their kernels, not part of test; WRITE=1 puts the results into docs/systems.md
	@tests/tools/need.sh "the tests on host systems" $(CAPTURE)
	$(PYTHON) -m pytest -q tests/matrix $(if $(WRITE),--write)

demo: $(VENV) ## the whole story on a fleet of this machine; KEEP=1 leaves the fleet up, LAB=name has one of your own
	@$(PYTHON) -m tests.demo --lab $(LAB) $(if $(KEEP),--keep)

demo-rdma: $(VENV) ## RDMA between two QEMU guests, captured at both ends and held against perftest's report; KEEP=1, LAB=name
	@$(PYTHON) -m tests.demo.rdma --lab $(if $(filter demo,$(LAB)),rdma,$(LAB)) $(if $(KEEP),--keep)

bench: $(VENV) ## measure against what else one could use
	@tests/tools/need.sh "the benchmarks" $(CAPTURE) rsync=rsync cc=gcc
	@$(PYTHON) -m pip install -q -r tests/bench/requirements.txt
	@$(PYTHON) -m tests.bench

lab-up: $(VENV) ## bring a fleet up: FLEET=demo LAB=demo
	@$(PYTHON) -m tests.lab up $(FLEET) --lab $(LAB)

lab-rdma: $(VENV) ## bring up two QEMU guests that speak RDMA to each other (the lab rdma)
	@$(PYTHON) -m tests.lab up rdma-guests --lab rdma

lab-down: $(VENV) ## take it down again
	@$(PYTHON) -m tests.lab down --lab $(LAB)

tree: $(VENV) ## the tree in which ansible-playbook finds this checkout as a collection

clean: ## remove all that was made here
	rm -rf .cache .venv .ansible .pytest_cache .ruff_cache .mypy_cache .hypothesis tests/output

$(TREE):
	@mkdir -p $(@D)
	@ln -sfn ../../../.. $@

.venv/.stamp: requirements-test.txt
	@tests/tools/venv.sh .venv $< 11 12 13 14

.cache/newest/.stamp: requirements-test.txt
	@OPTIONAL=1 tests/tools/venv.sh .cache/newest $< 13 12 14

.cache/tools/.stamp: requirements-lint.txt requirements-test.txt
	@tests/tools/venv.sh .cache/tools $< 11 12 13 14
