#!/usr/bin/env bash
# The committed result set, in benchmarks/store: a pretrained backbone, two floors, four data sets.
# Needs FEWSHOT_DATA and the extra `offline`; goes on where it was when it is stopped. Then, for the tables:
#   fewshot bench report --store benchmarks/store --into README.md
set -euo pipefail
cd "$(dirname "$0")/.."

bench() {
    fewshot bench run --store benchmarks/store --precision float32 --episodes 600 \
        --backbone timm:tf_efficientnet_lite0 --backbone fewshot:raw-pixels --random fewshot:conv4 \
        --learner prototypical --learner nearest-neighbour --learner matching --learner ridge \
        --learner simpleshot:transform=L2N "$@"
}

photos=(--dataset cifar-fs@test --dataset caltech101 --dataset grocery-store)
bench "${photos[@]}" --shots 1 --shots 5 --learner logistic
bench "${photos[@]}" --shots 1 --ways all --learner logistic
bench --dataset cifar-fs@test --shots 1 --shots 5 --learner simpleshot
bench --dataset cifar-fs@test --shots 1 --ways all --learner simpleshot

# two pictures an emoji, one in colour and one in lines; logistic regression over 1,536 ways takes hours on a CPU
bench --dataset openmoji --queries 1 --shots 1 --learner logistic
bench --dataset openmoji --queries 1 --shots 1 --support-domain color --query-domain line --learner logistic
bench --dataset openmoji --queries 1 --shots 1 --ways all
