#!/usr/bin/env bash
# Every learner on EfficientNet-Lite0 features of three data sets, with balanced and with unequal queries, one and five
# shots, 1,000 tasks each: the results in benchmarks/learner_store. Some 40 minutes on two cores.
# Run it as `uv run --extra offline scripts/run_learners.sh`, with FEWSHOT_DATA set; it goes on where it was when it is
# stopped. Then, for the tables and the advice:
#   fewshot bench report --store benchmarks/learner_store --seconds --into docs/learners.md
#   fewshot bench report --store benchmarks/learner_store --seconds --format html --out docs/learners.html
#   python benchmarks/choices.py
set -euo pipefail
cd "$(dirname "$0")/.."

run() {
    fewshot bench run --store benchmarks/learner_store --precision float32 --episodes 1000 --shots 1 --shots 5 \
        --dataset cifar-fs@test --dataset caltech101 --dataset grocery-store "$@"
}
# beside the papers' settings: learners that centre by the mean of base classes, as they are without it, and those that
# expect few of many classes to occur, with a tenth of that expectation
variants=(--learner simpleshot:transform=L2N --learner bd-cspn:features=centre-all+l2
    --learner laplacianshot:features=centre-all+l2 --learner paddle:lam=0.1 --learner em-dirichlet:lam=0.1)

run --learners all "${variants[@]}"
run --learners all "${variants[@]}" --imbalance 2

# twenty classes of which some seven occur
few=(--learner prototypical --learner simpleshot:transform=L2N --learner pt-map --learner bms --learner bavardage
    --learner paddle --learner paddle:lam=0.1 --learner em-dirichlet --learner em-dirichlet:lam=0.1)
run "${few[@]}" --ways 20 --queries 4 --imbalance 0.1

# further items without labels, some of them of two classes that the task does not ask for
unlabelled=(--learner simpleshot:transform=L2N --learner soft-kmeans --learner pt-map --learner bavardage --learner bms
    --learner soft-kmeans:transform=L2N,scale=10 --learner soft-kmeans:transform=L2N,scale=10,distractors=cluster)
run "${unlabelled[@]}" --unlabelled 10
run "${unlabelled[@]}" --unlabelled 10 --distractors 2
