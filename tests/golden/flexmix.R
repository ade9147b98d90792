# Fit one mixture of linear experts by flexmix; called by make_flexmix.py, which says what for.
#
# Rscript flexmix.R TABLE PARAMETERS: TABLE is a csv with the columns y, x1 .. xd and r1 .. rK, the
# starting responsibilities. PARAMETERS is written: one line of numbers for each quantity.

suppressPackageStartupMessages(library(flexmix))

paths <- commandArgs(trailingOnly = TRUE)
table <- read.csv(paths[1])
features <- grep("^x", names(table), value = TRUE)
start <- as.matrix(table[grep("^r", names(table))])
right <- paste(features, collapse = " + ")

# The gate's covariates are written out, because "~ ." would let the gate see y, and `minprior = 0`
# keeps every component.
fit <- flexmix(
  as.formula(paste("y ~", right)),
  data = table, k = ncol(start), cluster = start, model = FLXMRglm(),
  concomitant = FLXPmultinom(as.formula(paste("~", right))),
  control = list(iter.max = 2000, tolerance = 1e-11, minprior = 0)
)
stopifnot(fit@converged, fit@k == ncol(start))

experts <- parameters(fit)
write_line <- function(name, values) {
  paste(name, paste(sprintf("%.17g", values), collapse = " "))
}
writeLines(c(
  write_line("intercept", experts["coef.(Intercept)", ]),
  write_line("coef", t(experts[paste0("coef.", features), , drop = FALSE])),
  write_line("sigma", experts["sigma", ]),
  write_line("gate", t(parameters(fit, which = "concomitant"))),
  write_line("log_likelihood", as.numeric(logLik(fit)))
), paths[2])
