.PHONY: help check test demo docs site kill races lock sbom licences fuzz

help:  ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

check:  ## set up .venv and run everything CI runs
	ci/check

test:  ## the fast lane: no server, browser, database, worker, and nothing that takes seconds
	ci/setup dev
	OMP_NUM_THREADS=1 .venv/bin/pytest -n 2 --dist worksteal -m "not kill and not race and not server and not browser and not postgresql and not worker and not slow"

demo:  ## set up .venv, then train, register and assess three versions of a digit classifier
	ci/setup demo
	.venv/bin/governance demo --out demo

docs:  ## write the generated parts of docs/reference: commands, keys, metrics
	ci/setup dev
	.venv/bin/python ci/reference.py

site:  ## build the documentation into build/site, executing the examples; warnings are errors
	ci/setup dev
	ci/site

kill:  ## thirty registrations while worker and server are killed; ci/check runs six
	ci/setup dev
	OMP_NUM_THREADS=1 .venv/bin/pytest -s -m kill tests/governance/worker

fuzz:  ## five thousand altered inputs, with the figures; FUZZ_TIMES=10 FUZZ_SEED=2 for more of others
	ci/setup dev
	OMP_NUM_THREADS=1 .venv/bin/pytest -s tests/test_fuzzing.py

races:  ## fifty threads, two hundred rounds, against SQLite and PostgreSQL; ci/check runs a few
	ci/setup dev
	OMP_NUM_THREADS=1 .venv/bin/pytest -s -m race tests/mlflow_plugins

lock:  ## write the lock files from pyproject.toml; UPGRADE=--upgrade takes the newest versions
	ci/setup dev
	.venv/bin/python ci/lock.py $(UPGRADE)

sbom:  ## write sbom.cdx.json, the CycloneDX list of what runs in production
	ci/setup dev
	.venv/bin/python ci/licences.py --sbom sbom.cdx.json

licences:  ## list the licences of what runs in production; fails at one that is not accepted
	ci/setup dev
	.venv/bin/python ci/licences.py
