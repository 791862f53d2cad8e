"""The pages over the audit trail, which the shipping process serves. They read the store and write nothing but their own looks."""
