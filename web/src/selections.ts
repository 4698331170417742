/** What both pages ask for, as text to put into a document, indented for the playground's tabs. */

export const REFUSAL = `    ... on Refusal {
      code
      message
      field
      retryAfter
      problems {
        field
        code
        message
      }
      nextStep {
        service
        message
        phone
      }
    }`;

export const VIEWER_FIELDS = `    bound
    name
    socialSecurityNumber
    phone
    card {
      name
      cardNumber
    }
    services {
      service
      title
      available
      reason {
        code
        message
      }
    }`;

export const CARD_FIELDS = `      name
      socialSecurityNumber
      cardNumber
      issueDate
      bank
      homeRegion`;

export const PROGRESS_FIELDS = `      socialSecurityNumber
      name
      batchNumber
      cardNumber
      bank
      nodes {
        node
        title
        result
        resultTitle
        at
        message
      }`;
