# Fit flexmix to table.csv (target first) in the folder that the first argument names, with as many
# components as the second says, the best of as many tries as the third says, from the seed that is
# the fourth. Where a component vanishes that the gate cannot do without, it is tried with fewer. Write
# one row for each component to law.csv: coefficients, scale, coefficients of the gate.
suppressMessages(library(flexmix))
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
table <- read.csv(file.path(folder, "table.csv"), header = FALSE)
names(table) <- c("y", sprintf("x%d", seq_len(ncol(table) - 1)))
covariates <- paste(c("1", names(table)[-1]), collapse = " + ")
with_components <- function(k) {
  stepFlexmix(
    as.formula(paste("y ~", covariates)),
    data = table, k = k, nrep = as.integer(arguments[3]), model = FLXMRglm(), verbose = FALSE,
    concomitant = if (k > 1) FLXPmultinom(as.formula(paste("~", covariates))) else FLXPconstant()
  )
}
set.seed(as.integer(arguments[4]))
for (k in seq(as.integer(arguments[2]), 1)) {
  fit <- try(with_components(k), silent = TRUE)
  if (!inherits(fit, "try-error")) break
}
if (inherits(fit, "try-error")) stop(fit)
law <- t(parameters(fit))
# One component alone has no gate.
gate <- 0 * law[, -ncol(law), drop = FALSE]
if (nrow(law) > 1) gate <- t(parameters(fit, which = "concomitant"))
write.table(
  cbind(law, gate), file.path(folder, "law.csv"), sep = ",", row.names = FALSE, col.names = FALSE
)
