"""The systems that the paper compares KuaiHL with in Table I, one file each; `architectures` names them."""
