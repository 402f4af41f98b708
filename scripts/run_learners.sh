#!/usr/bin/env bash
# Every learner on EfficientNet-Lite0 features of three data sets, with balanced and with unequal queries, one and five
# shots, 1,000 tasks each: the results in benchmarks/learner_store. Then, on one of them, tasks in which few of many
# classes occur, and tasks with unlabelled items: benchmarks/settings_store. An hour and a half on two cores, most of it
# for alpha-tim, tim-gd, ici, ilpc and distribution-calibration.
# Run it as `uv run --extra offline scripts/run_learners.sh`, with FEWSHOT_DATA set; it goes on where it was when it is
# stopped. Then, for the tables and the advice:
#   fewshot bench report --store benchmarks/learner_store --seconds --into docs/learners.md
#   fewshot bench report --store benchmarks/learner_store --seconds --format html --out docs/learners.html
#   fewshot bench report --store benchmarks/settings_store --into docs/settings.md
#   python benchmarks/choices.py
set -euo pipefail
cd "$(dirname "$0")/.."

run() { fewshot bench run --precision float32 --episodes 1000 --shots 1 --shots 5 "$@"; }
main=(--store benchmarks/learner_store --dataset cifar-fs@test --dataset caltech101 --dataset grocery-store)
settings=(--store benchmarks/settings_store --dataset cifar-fs@test)

# beside the papers' settings: learners that centre by the mean of base classes, as they are without it, and those that
# expect few of many classes to occur, with a tenth of that expectation
variants=(--learner simpleshot:transform=L2N --learner bd-cspn:features=centre-all+l2
    --learner laplacianshot:features=centre-all+l2 --learner paddle:lam=0.1 --learner em-dirichlet:lam=0.1)
run "${main[@]}" --learners all "${variants[@]}"
run "${main[@]}" --learners all "${variants[@]}" --imbalance 2

# twenty classes of which some seven occur
few=(--learner prototypical --learner simpleshot:transform=L2N --learner pt-map --learner bms --learner bavardage
    --learner paddle --learner paddle:lam=0.1 --learner em-dirichlet --learner em-dirichlet:lam=0.1)
run "${settings[@]}" "${few[@]}" --ways 20 --queries 4 --imbalance 0.1

# further items without labels, some of them of two classes that the task does not ask for
unlabelled=(--learner simpleshot:transform=L2N --learner soft-kmeans --learner pt-map --learner bavardage --learner bms
    --learner soft-kmeans:transform=L2N,scale=10 --learner soft-kmeans:transform=L2N,scale=10,distractors=cluster)
run "${settings[@]}" "${unlabelled[@]}" --unlabelled 10
run "${settings[@]}" "${unlabelled[@]}" --unlabelled 10 --distractors 2
