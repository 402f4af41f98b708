#!/usr/bin/env bash
# The committed result set, in benchmarks/store: a pretrained backbone, two floors, four data sets.
# Run it as `uv run --extra offline scripts/run_benchmark.sh`, with FEWSHOT_DATA set; it goes on where it was when it is
# stopped. Then, for the tables:
#   fewshot bench report --store benchmarks/store --into README.md
set -euo pipefail
cd "$(dirname "$0")/.."

run() { fewshot bench run --store benchmarks/store --precision float32 --episodes 600 "$@"; }
pretrained=(--backbone timm:tf_efficientnet_lite0)
floors=(--backbone fewshot:raw-pixels --random fewshot:conv4)
learners=(--learner prototypical --learner nearest-neighbour --learner matching --learner ridge
    --learner simpleshot:transform=L2N)
photos=(--dataset cifar-fs@test --dataset caltech101 --dataset grocery-store)

run "${pretrained[@]}" "${floors[@]}" "${learners[@]}" --learner logistic "${photos[@]}" --shots 1 --shots 5
run "${pretrained[@]}" "${floors[@]}" "${learners[@]}" --learner logistic "${photos[@]}" --shots 1 --ways all
run "${pretrained[@]}" "${floors[@]}" --learner simpleshot --dataset cifar-fs@test --shots 1 --shots 5
run "${pretrained[@]}" "${floors[@]}" --learner simpleshot --dataset cifar-fs@test --shots 1 --ways all

# openmoji has two pictures a class, one in colour and one in lines: one is the support, the other the query
emoji=(--dataset openmoji --queries 1 --shots 1)
run "${pretrained[@]}" "${floors[@]}" "${learners[@]}" --learner logistic "${emoji[@]}"
run "${pretrained[@]}" "${floors[@]}" "${learners[@]}" --learner logistic "${emoji[@]}" \
    --support-domain color --query-domain line
# 1,536 ways cost a minute a learner and backbone on two cores, logistic regression hours: it and most floors are left out
run "${pretrained[@]}" "${learners[@]}" "${emoji[@]}" --ways all
run "${floors[@]}" --learner prototypical "${emoji[@]}" --ways all
