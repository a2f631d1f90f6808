# Everything happens in .venv, which the first of these makes and the others reuse. Another Python: make lab PYTHON=python3.12
.DEFAULT_GOAL := help
.PHONY: help lab test notebooks picture bench clean
export PYTHON

help:  ## list these
	@sed -nE 's/^([a-z]+): *## (.*)/make \1	\2/p' Makefile

lab:  ## open the notebooks in JupyterLab, on a copy in work/
	@sh .ci/environment lab
	@.venv/bin/llmlab doctor
	@.venv/bin/llmlab lab

test:  ## lint, types, tests, notebooks; one line at the end sums up
	@sh .ci/environment test
	@bash .ci/test

notebooks:  ## run the notebooks again, in place
	@sh .ci/environment lab
	@.venv/bin/python -m llmlab.notebook.execute

picture:  ## draw the README's picture again
	@sh .ci/environment lab
	@.venv/bin/llmlab gameday --scenario latency --requests 300 --picture notebooks/storm_strip.png

bench:  ## measure llmlab beside its references
	@sh .ci/environment test
	@.venv/bin/llmlab bench

clean:  ## remove .venv, caches and coverage; work/ stays
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* coverage.xml htmlcov
	@find llmlab tests notebooks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
