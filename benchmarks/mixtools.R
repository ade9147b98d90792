# Fit mixtools' mixture of experts (one feature, two experts) to table.csv (target first), both files
# in the folder that the first argument names; print seconds and log-likelihood. It takes no
# responsibilities: coefficients and noise of their weighted least squares are given instead.
suppressMessages(library(mixtools))
folder <- commandArgs(trailingOnly = TRUE)[1]
table <- read.csv(file.path(folder, "table.csv"), header = FALSE)
resp <- as.matrix(read.csv(file.path(folder, "resp.csv"), header = FALSE))
fits <- lapply(1:2, function(k) lm(table[, 1] ~ table[, 2], weights = resp[, k]))
begun <- proc.time()["elapsed"]
fit <- hmeEM(
  table[, 1], cbind(table[, 2]),
  beta = sapply(fits, coef),
  sigma = sapply(1:2, function(k) sqrt(sum(resp[, k] * residuals(fits[[k]])^2) / sum(resp[, k]))),
  k = 2, epsilon = 1e-6 * nrow(table), maxit = 200
)
cat(proc.time()["elapsed"] - begun, fit$loglik, "\n")
