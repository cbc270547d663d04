.PHONY: help check demo docs kill

help:  ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

check:  ## set up .venv and run everything CI runs
	ci/check

demo:  ## set up .venv, then train, register and assess three versions of a digit classifier
	ci/setup demo
	.venv/bin/governance demo --out demo

docs:  ## write docs/analyses.md from what the analyses declare
	ci/setup dev
	.venv/bin/python ci/analyses_page.py

kill:  ## thirty registrations while worker and server are killed; ci/check runs six
	ci/setup dev
	OMP_NUM_THREADS=1 .venv/bin/pytest -s -m kill tests/governance/worker
