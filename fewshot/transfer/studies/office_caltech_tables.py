"""Published accuracies, in per cent, on Office-Caltech10's SURF features: all items of both domains, by pair."""

PAIRS = (
    "caltech amazon", "caltech webcam", "caltech dslr", "amazon caltech", "amazon webcam", "amazon dslr",
    "webcam caltech", "webcam amazon", "webcam dslr", "dslr caltech", "dslr amazon", "dslr webcam",
)  # fmt: skip

# 1-NN, z-scored features: Long et al. 2013 (ICCV), table 3; subspace alignment: Zhang et al. 2017 (JGSA), table 2; both
# read in the collection of jindongwang/transferlearning
NEAREST_NEIGHBOUR = {
    "source-only": (23.70, 25.76, 25.48, 26.00, 29.83, 25.48, 19.86, 22.96, 59.24, 26.27, 28.50, 63.39),
    "gfk": (41.02, 40.68, 38.85, 40.25, 38.98, 36.31, 30.72, 29.75, 80.89, 30.28, 32.05, 75.59),
    "tca": (38.20, 38.64, 41.40, 37.76, 37.63, 33.12, 29.30, 30.06, 87.26, 31.70, 32.15, 86.10),
    "jda": (44.78, 41.69, 45.22, 39.36, 37.97, 39.49, 31.17, 32.78, 89.17, 31.52, 33.09, 89.49),
    "subspace-alignment": (49.27, 40.00, 39.49, 39.98, 33.22, 33.76, 35.17, 39.25, 75.16, 34.55, 39.87, 76.95),
}
# linear SVM: Sun et al. 2016 (CORAL, AAAI), table 3, read in a public collection of results
SVM = {
    "source-only": (53.1, 41.7, 47.8, 41.7, 31.9, 44.6, 21.2, 27.6, 78.3, 26.4, 26.2, 52.5),
    "coral": (52.1, 46.4, 45.9, 45.1, 44.4, 39.5, 33.7, 36.0, 86.6, 33.8, 37.7, 84.7),
}
