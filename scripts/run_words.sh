#!/usr/bin/env bash
# Learners with words beside learners of images alone, in the space of the default bridge: all classes of a data set at
# once, ten supports drawn from two thirds of each class and tested on the rest, which no learner reaches; settings fixed.
# The results are kept in benchmarks/words_store. Run it as `uv run --extra offline scripts/run_words.sh`, with
# FEWSHOT_DATA set; it goes on where it was when it is stopped. Then, for the table and the plot in docs/words.md:
#   python benchmarks/tables.py
set -euo pipefail
cd "$(dirname "$0")/.."

run() {
    fewshot bench run --store benchmarks/words_store --backbone bridge:lite0-minilm --precision float32 --ways all \
        --pool 2/3 --words simple --episodes 10 "$@"
}
shots() { for count in "$@"; do echo "--shots $count"; done; }
learners() { for name in "$@"; do echo "--learner $name"; done; }

images=(prototypical ridge linear-probe)
quick=(zero-shot gda tip-adapter ape em-dirichlet-clip tda transclip zlap 'ensemble:learners=zero-shot+linear-probe')
trained=(tip-adapter-f ape-t lp++ zs-lp clap taskres clip-adapter cross-modal-lp)

run --dataset cifar-fs@test $(shots 1 2 4 8 16) $(learners "${images[@]}" "${quick[@]}" "${trained[@]}")
# ProLIP trains the last linear map of the image tower, which is the identity where a bridge brings texts to images
run --dataset cifar-fs@test $(shots 1 2 4 8 16) --layers pre-projection $(learners prolip)
# Every step of CoOp goes through the text tower, some 500 steps for ten draws at one shot and 20,000 at sixteen: an hour
# of one core in bfloat16. CoCoOp does so for every image tested, too.
run --dataset cifar-fs@test --shots 1 $(learners coop)
run --dataset cifar-fs@test $(shots 1 2 4 8 16) $(learners coop:precision=bfloat16)
run --dataset cifar-fs@test --shots 1 $(learners cocoop:precision=bfloat16)
run --dataset caltech101 $(shots 1 2 4 8 16) $(learners "${images[@]}" "${quick[@]}" "${trained[@]}")
run --dataset grocery-store $(shots 1 2 4 8 16) $(learners "${images[@]}" "${quick[@]}" "${trained[@]}")
