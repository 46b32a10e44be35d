# Every part of the proof can run alone; each sets up what it needs. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
PYTHON := $(BIN)/python
TREE := .cache/tree/ansible_collections/wirefleet/capture
BUILD := .cache/build
export PATH := $(BIN):$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.cache/tree

.PHONY: help demo test unit sanity lint docs-lint galaxy molecule integration bench tree clean

help: ## list these parts
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.ready: requirements.txt requirements-dev.txt tests/tools/bootstrap.sh
	@tests/tools/bootstrap.sh $(VENV) requirements-dev.txt 3.11
	@touch $@

$(TREE):
	@mkdir -p $(dir $@) && ln -sfn ../../../.. $@

tree: $(VENV)/.ready $(TREE) ## the virtual environment and the link that makes this clone a collection

demo: tree ## a fleet, traffic, a campaign, a table of evidence (KEEP=1 leaves the fleet up)
	@$(PYTHON) -m tests.demo $(if $(KEEP),--keep)

test: lint unit docs-lint galaxy sanity molecule integration ## everything that proves the collection

unit: tree ## pure functions on recorded output, and real tools in namespaces
	@$(PYTHON) -m pytest tests/unit

sanity: tree ## ansible-test sanity, on every supported Python that is installed
	@$(PYTHON) tests/tools/sanity.py $(BUILD)

lint: tree ## ruff, yamllint, ansible-lint (production profile)
	@ruff check --quiet . && yamllint --strict . && ansible-lint -q

docs-lint: tree ## antsibull-docs on every plugin, role and module
	@antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs all $(ANSIBLE_COLLECTIONS_PATH)/ansible_collections/wirefleet/capture

galaxy: tree ## build the collection and import it as Galaxy would
	@$(PYTHON) tests/tools/galaxy.py $(BUILD)

molecule: tree ## roles converged, checked for idempotence and verified on lab hosts
	@$(PYTHON) tests/tools/molecule.py

integration: tree ## campaigns, faults and bad input on the lab fleet
	@$(PYTHON) -m pytest tests/integration

bench: tree ## what it costs, beside what a user would do instead, as ratios
	@$(PYTHON) -m tests.bench

clean: ## remove what make made, but not the lab's cache of roots and kernels
	@rm -rf $(VENV) .cache evidence .pytest_cache .ruff_cache .ansible
