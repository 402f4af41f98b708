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
# learners whose papers centre by the mean of base classes, as they are without: by the mean of the task, or not at all
without_base=(--learner simpleshot:transform=L2N --learner bd-cspn:features=centre-all+l2
    --learner laplacianshot:features=centre-all+l2)

run --learners all "${without_base[@]}"
run --learners all "${without_base[@]}" --imbalance 2

# further items without labels, a third of them of classes that the task does not ask for
unlabelled=(--learner prototypical --learner soft-kmeans --learner soft-kmeans:distractors=cluster --learner pt-map
    --learner alpha-tim)
run "${unlabelled[@]}" --unlabelled 10
run "${unlabelled[@]}" --unlabelled 10 --distractors 2
