# make e2e   runs the conformance suite; by default on the embedded lab
# make smoke tries both modes in a short time
# make bench runs its benchmarks instead
# make test  checks and tests this project itself
#
# make reports every failure as 2. The suite's own exit code is in the last
# line but one; run .bin/e2e, which it builds, for the code itself.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# What may be set, on the command line or in the environment.
SUITE_VARIABLES := LABELS FOCUS SEED PARALLEL QUALIFICATION PROVIDER KUBECONFIG KUBE_CONTEXT KEEP_LAB \
	KIND_NAME KIND_PMEM KIND_ENGINE KIND_NODE_IMAGE KIND_IMAGES KEEP_CLUSTER EPHEMERAL PERSISTENT \
	LOAD_RESTRICTOR MEMCACHED_IMAGE OTHER_MEMCACHED_IMAGE KNOWN_FAILURES RETRIES SKIP_PREFLIGHT EXCLUSIVE DISRUPTIVE WAIT_SCALE \
	BENCH BASELINE BENCH_DURATION BENCH_PAIRS BENCH_CLIENTS BENCH_PLACEMENT REPORT_DIR VERBOSE CONFIG
LAB_VARIABLES := LAB_NAME LAB_NODES LAB_PMEM LAB_PORT LAB_ACCEL LAB_KUBERNETES LAB_MEMCACHED LAB_KERNEL LAB_DRIVER \
	LAB_SNAPSHOT LAB_IMAGES CACHE_DIR
VARIABLES := $(SUITE_VARIABLES) $(LAB_VARIABLES) MATRIX MUTANT WHOLE INTERRUPT SAMPLE LIMIT RECORD RECORDED ARGS PACKAGES A B REPORT CUTS ROUNDS
# ARGS is for power, shell, kubectl and lab-prune, and only on the command line: a shell may export
# one for other reasons.
ARGS ?=
PACKAGES ?= yes

given := $(foreach v,$(.VARIABLES),$(if $(findstring command line,$(origin $v)),$v))
unknown := $(filter-out $(VARIABLES) MAKEFLAGS MFLAGS MAKEOVERRIDES -*-command-variables-*-,$(given))
ifneq ($(unknown),)
$(error unknown variable $(unknown): want one of $(VARIABLES))
endif

export $(SUITE_VARIABLES) $(LAB_VARIABLES) MATRIX MUTANT WHOLE INTERRUPT SAMPLE LIMIT RECORD RECORDED

# One set of flags for the suite, its tests and the programs of the lab: what they have in common is compiled once.
export CGO_ENABLED := 0
export GOFLAGS := $(strip $(filter-out -trimpath,$(GOFLAGS)) -trimpath)

.PHONY: help
help:
	@echo 'make e2e          run the suite on the lab, or on the cluster of KUBECONFIG'
	@echo 'make smoke        try both modes in a short time, which is no verdict about conformance'
	@echo 'make bench        measure instead: the benchmarks on the same cluster'
	@echo 'make e2e-example  run it with the deployments that PMEM-CSI publishes as its example'
	@echo 'make matrix       run the suite over combinations of versions, MATRIX=single or MATRIX=kernel=6.1'
	@echo 'make mutation     run the specs on deployments that are broken on purpose, MUTANT=name or SAMPLE=10 SEED=1, PARALLEL=2'
	@echo 'make kind-test    run the release archive with PROVIDER=kind in a virtual machine (half an hour), WHOLE=1, MUTANT=name, INTERRUPT=text'
	@echo 'make test         format, vet, staticcheck, shellcheck, manifests, unit and integration tests'
	@echo 'make race         test what runs in parallel with the race detector'
	@echo 'make lab-up       bring the lab up and leave it up'
	@echo 'make lab-down     remove the lab'
	@echo 'make lab-status   report the state of the lab'
	@echo 'make lab-power    ARGS="node1 cut", or off, on, reboot, pause, resume'
	@echo 'make lab-shell    ARGS="node1", or a command after that: a root shell on a node'
	@echo 'make lab-kubectl  ARGS="get pods -A"'
	@echo 'make lab-test     CUTS=3: test a lab of two nodes, cutting the power of one that often'
	@echo 'make lab-bench    ROUNDS=3: time how long a lab of one node and of two takes, with and without a snapshot'
	@echo 'make lab-versions compare the pinned versions with the newest ones'
	@echo 'make lab-cache    list what was built for labs, and who needs it'
	@echo 'make lab-prune    remove what nothing needs, ARGS="--keep 20Gi", "--unused 168h", "--dry-run"'
	@echo 'make packages     install the Debian packages that the lab needs'
	@echo 'make report-diff  A=old/report.yaml B=new/report.yaml'
	@echo 'make validate     REPORT=report/report.yaml'
	@echo 'make bench-baseline REPORT=report/report.yaml > baseline.yaml'
	@echo 'make catalogue    write e2e/CATALOGUE.md, e2e/catalogue.yaml, e2e/MUTANTS.md and testdata/mutants/proof.yaml'
	@echo 'make bench-load   the load generator against memcached, compared with other clients'
	@echo 'make release      write archives of the program, for amd64 and arm64, into .bin/release'
	@echo 'make house        print the packages with their purpose, lines and imports'
	@echo 'make clean        remove what make built in this checkout'
	@echo 'variables: $(VARIABLES)'

# Checks use the processors while tests wait.
.PHONY: test check unit
test: test-packages
	@$(MAKE) --no-print-directory -j2 check unit

check:
	@hack/check.sh

# The packages that take longest begin first. check.sh vets with all analyzers.
unit:
	go test -vet=off ./manifests $(addprefix ./framework/,load bench run) ./...
	go -C hack/lying-driver test -vet=off .

# The packages that do things in parallel. The race detector needs cgo.
.PHONY: race
race: export CGO_ENABLED := 1
RACE := . bench cluster evidence facts leak ledger live load lockfile memcached mutation preflight redact report run wait
race: test-packages
	go test -race $(addprefix ./framework/,$(RACE))

# A KUBECONFIG that the shell exports does not choose the cluster; one that is given to make does.
ifneq ($(and $(findstring command line,$(origin KUBECONFIG)),$(KUBECONFIG)),)
kubeconfig = --kubeconfig "$$KUBECONFIG"
endif
# So that the program can say where it was given.
ifneq ($(and $(findstring command line,$(origin PROVIDER)),$(PROVIDER)),)
provider = --provider "$$PROVIDER"
endif

.PHONY: e2e bench smoke
e2e: e2e-packages program
	@exec .bin/e2e run $(kubeconfig) $(provider)

bench: e2e-packages program
	@exec .bin/e2e bench $(kubeconfig) $(provider)

smoke: e2e-packages program
	@exec .bin/e2e smoke $(kubeconfig)

# The program, and the load clients that it streams into pods. The lab has nodes of this machine's architecture only.
load_architectures = $(if $(kubeconfig)$(filter existing,$(PROVIDER)),amd64 arm64,$(shell go env GOHOSTARCH))
.PHONY: program cli
program: cli
	@for arch in $(load_architectures); do GOARCH=$$arch go build -ldflags='-s -w' -o .bin/e2e-load-$$arch ./framework/cmd/load || exit; done

cli:
	@go build -buildvcs=auto -o .bin/e2e ./framework/cmd/e2e

# PMEM-CSI's own example of both modes, as the release has it that the lab runs.
.PHONY: e2e-example
e2e-example: e2e-packages program
	@go -C hack/pmem-csi mod download github.com/intel/pmem-csi
	@example=$$(go -C hack/pmem-csi list -m -f '{{.Dir}}' github.com/intel/pmem-csi)/deploy/kustomize/memcached; \
	EPHEMERAL="$$example/ephemeral" PERSISTENT="$$example/persistent" exec .bin/e2e run $(kubeconfig) $(provider)

# The specs on deployments with one change each, which they have to reject or to accept.
.PHONY: mutation
mutation: e2e-packages program
ifneq ($(kubeconfig),)
	@KUBECONFIG="$$KUBECONFIG" PROVIDER=existing exec .bin/e2e mutation
else
	@exec .bin/e2e mutation
endif

# The suite on a kind cluster, in a machine that has persistent memory and docker.
.PHONY: kind-test
kind-test: packages cli
	@exec .bin/e2e kind test

# A lab for each combination, one after the other.
.PHONY: matrix
matrix: packages program
	@exec .bin/e2e matrix

.PHONY: lab-up lab-down lab-status lab-power lab-shell lab-kubectl lab-cache lab-versions lab-prune
lab-up: packages
lab-up lab-down lab-status lab-cache lab-versions: lab-%: cli
	@exec .bin/e2e lab $*

lab-power lab-shell lab-kubectl: lab-%: cli
	@exec .bin/e2e lab $* $(ARGS)

# The lab itself: nodes, network, power. It takes minutes and a lab of its own.
.PHONY: lab-test
CUTS ?= 3
lab-test: packages
	go test -tags vm -count=1 -timeout 0 -v ./framework/lab/vmtest -cuts '$(CUTS)'

# Each line is one round, for benchstat.
.PHONY: lab-bench
ROUNDS ?= 3
lab-bench: packages
	go test -tags vm -run '^$$' -bench Up -benchtime 1x -count '$(ROUNDS)' -timeout 0 ./framework/lab/vmtest

lab-prune: cli
	@exec .bin/e2e lab cache prune $(ARGS)

.PHONY: packages test-packages bench-packages e2e-packages
packages:
ifeq ($(PACKAGES),yes)
	@hack/packages.sh e2e
endif

test-packages:
ifeq ($(PACKAGES),yes)
	@hack/packages.sh test
endif

bench-packages:
ifeq ($(PACKAGES),yes)
	@hack/packages.sh bench
endif

# Other clusters need none of the lab's packages.
e2e-packages:
ifeq ($(kubeconfig)$(filter existing kind,$(PROVIDER)),)
ifeq ($(PACKAGES),yes)
	@hack/packages.sh e2e
endif
endif

# Archives of the program for machines without Go, and their digests.
.PHONY: release
release:
	@hack/release.sh .bin/release

.PHONY: report-diff validate bench-baseline catalogue
A ?=
B ?=
REPORT ?= report/report.yaml
report-diff: cli
	@$(if $(and $(A),$(B)),,$(error report-diff needs two reports: A=old/report.yaml B=new/report.yaml))
	@.bin/e2e report diff '$(A)' '$(B)'

validate: cli
	@.bin/e2e report validate '$(REPORT)'

bench-baseline: cli
	@.bin/e2e baseline '$(REPORT)'

catalogue:
	go test ./framework/cmd/e2e -run '^TestKillMatrix$$' -update
	go test ./e2e/internal/catalogue -run '^TestCatalogue$$' -update

# Client and server have a processor each, when there are two.
.PHONY: bench-load
bench-load: bench-packages
	@go test -c -o .bin/load.test ./framework/load
	@if [ "$$(nproc)" -gt 1 ]; then SERVER_CPU=0 exec taskset -c 1 .bin/load.test -test.run '^$$' -test.bench . -test.benchtime 1x; \
	else exec .bin/load.test -test.run '^$$' -test.bench . -test.benchtime 1x; fi

.PHONY: house
house:
	@go run ./hack/house

.PHONY: clean
clean:
	rm -rf .bin report
