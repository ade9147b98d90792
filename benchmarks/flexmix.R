# Fit flexmix to table.csv (target first) from the responsibilities in resp.csv, both in the folder
# that the first argument names, under the law of the second (gaussian); print seconds and
# log-likelihood.
suppressMessages(library(flexmix))
arguments <- c(commandArgs(trailingOnly = TRUE), "gaussian")
folder <- arguments[1]
table <- read.csv(file.path(folder, "table.csv"), header = FALSE)
resp <- as.matrix(read.csv(file.path(folder, "resp.csv"), header = FALSE))
names(table) <- c("y", paste0("x", seq_len(ncol(table) - 1)))
covariates <- paste(names(table)[-1], collapse = " + ")
begun <- proc.time()["elapsed"]
fit <- flexmix(
  as.formula(paste("y ~", covariates)),
  data = table, k = ncol(resp), cluster = unname(resp), model = FLXMRglm(family = arguments[2]),
  concomitant = FLXPmultinom(as.formula(paste("~", covariates))),
  control = list(iter.max = 200, tolerance = 1e-6, minprior = 0)
)
cat(proc.time()["elapsed"] - begun, as.numeric(logLik(fit)), "\n")
