# Fit one mixture of Poisson experts by flexmix; called by make_flexmix_poisson.py, which says what
# for.
#
# Rscript flexmix_poisson.R TABLE PARAMETERS: TABLE is a csv with the columns y, x1 .. xd and
# r1 .. rK, the starting responsibilities. PARAMETERS is written: one line of numbers for each
# quantity.

suppressPackageStartupMessages(library(flexmix))

paths <- commandArgs(trailingOnly = TRUE)
table <- read.csv(paths[1])
features <- grep("^x", names(table), value = TRUE)
start <- as.matrix(table[grep("^r", names(table))])
right <- paste(features, collapse = " + ")

# flexmix leaves nnet at its own tolerance, 1e-8 of the cross-entropy, which is 1e-4 in the gate's
# coefficients. Tightened, EM stops at the maximum itself.
gate <- FLXPmultinom(as.formula(paste("~", right)))
loose <- gate@fit
gate@fit <- function(x, y, w, ...) loose(x, y, w, maxit = 10000, abstol = 0, reltol = 1e-15)

# `minprior = 0` keeps every component.
fit <- flexmix(
  as.formula(paste("y ~", right)),
  data = table, k = ncol(start), cluster = start,
  model = FLXMRglm(family = "poisson"), concomitant = gate,
  control = list(iter.max = 5000, tolerance = 1e-13, minprior = 0)
)
stopifnot(fit@converged, fit@k == ncol(start))

# What flexmix reports of the gate is fitted anew, loosely; the log odds of the tight one are linear
# in the features, so that they give its coefficients.
design <- cbind(1, as.matrix(table[features]))
proba <- gate@fit(design, posterior(fit))
log_odds <- qr.solve(design, log(proba / proba[, 1]))

experts <- parameters(fit)
write_line <- function(name, values) {
  paste(name, paste(sprintf("%.17g", values), collapse = " "))
}
writeLines(c(
  write_line("intercept", experts["coef.(Intercept)", ]),
  write_line("coef", t(experts[paste0("coef.", features), , drop = FALSE])),
  write_line("gate", t(log_odds)),
  write_line("log_likelihood", as.numeric(logLik(fit)))
), paths[2])
