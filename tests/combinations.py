"""Every activation × output and loss × {L1, KL} × weight decay that the equations allow."""

from nsae.equations.activations import KSparse, ReLU, Sigmoid


def legal_combinations():
    """(g, options of Autoencoder and weight_decay), one after the other."""
    for g in (Sigmoid(), ReLU(), KSparse(3)):
        for output, loss in (("linear", "squared"), ("sigmoid", "squared"), ("sigmoid", "cross_entropy")):
            for l1 in (0.0, 0.1):
                for kl in (0.0, 0.2) if isinstance(g, Sigmoid) else (0.0,):
                    for weight_decay in (0.0, 0.05):
                        yield (
                            g,
                            {
                                "output": output,
                                "loss": loss,
                                "l1": l1,
                                "kl": kl,
                                "weight_decay": weight_decay,
                            },
                        )
