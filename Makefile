.PHONY: help check demo docs

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
