/** Every GraphQL document of the playground: the default tabs, in the order a newcomer walks them. */
import { CARD_FIELDS, PROGRESS_FIELDS, REFUSAL, VIEWER_FIELDS } from '../selections';

export interface Tab {
  query: string;
  variables?: string;
}

export const CHANNEL_NAMES = /* GraphQL */ `
  query ChannelNames {
    channels {
      id
      name
      bindingRequired
    }
  }
`;

export const SIGN_IN = /* GraphQL */ `
  mutation SignIn($input: SignInInput!) {
    signIn(input: $input) {
      ... on SignedIn {
        token
        expiresAt
        viewer {
          bound
          name
        }
      }
      ... on Refusal {
        message
      }
    }
  }
`;

export const SEND_CODE = /* GraphQL */ `
  mutation SendCode($purpose: VerificationPurpose!, $phone: String!) {
    sendVerificationCode(input: { purpose: $purpose, phone: $phone }) {
      ... on VerificationCodeSent {
        resendAfter
      }
      ... on Refusal {
        message
      }
    }
  }
`;

export const BIND_CARD = /* GraphQL */ `
  mutation BindCard($input: BindCardInput!) {
    bindCard(input: $input) {
      ... on CardBound {
        token
      }
      ... on Refusal {
        message
      }
    }
  }
`;

const CARD_RESULT = `      card {
        cardNumber
        stateName
      }`;

const APPLICATION_RESULT = `      applicationNumber
      receipt {
        pdfUrl
      }
      progress {
        nodes {
          title
          resultTitle
        }
      }`;

function tab(query: string, input?: object): Tab {
  return input ? { query, ...variables({ input }) } : { query };
}

/** The tab of a mutation that answers with one success type or a refusal. */
function mutation(comment: string, field: string, success: string, fields: string, input: object): Tab {
  const name = field[0]!.toUpperCase() + field.slice(1);
  return tab(
    `${comment}
mutation ${name}($input: ${name}Input!) {
  ${field}(input: $input) {
    ... on ${success} {
${fields}
    }
${REFUSAL}
  }
}
`,
    input,
  );
}

function variables(values: object): { variables: string } {
  return { variables: JSON.stringify(values, null, 2) };
}

export const TABS: Tab[] = [
  tab(`# 1 · 渠道：三个 App 的进入步骤。
# 不用登录，直接运行（Ctrl+Enter）。
# Channels and their entry steps:
# no sign-in needed, just run it.

query Channels {
  channels {
    id
    name
    appName
    bindingRequired
    entrySteps {
      order
      title
      instruction
    }
  }
}
`),

  mutation(
    `# 2 · 登录：用 App 的凭证换取会话令牌。
# 沙盒里用上方的人物条最省事：点「登录」，
# 令牌就写进每个标签页的 Headers。
# 手工：先 POST /sandbox/authorize，正文
# {"channel": "UNIONPAY", "persona": "active"}
# Sign in with the app's credential;
# the persona bar above does it for you.
`,
    'signIn',
    'SignedIn',
    `      token
      expiresAt
      viewer {
        channel
        bound
        name
      }`,
    { channel: 'UNIONPAY', credential: '', state: '' },
  ),

  tab(`# 3 · 我是谁、能办什么：
# 十项业务各自能否办理，不能时说明原因。
# Viewer: who is signed in, and which of
# the ten services are open.

query Viewer {
  viewer {
    channel
${VIEWER_FIELDS}
  }
}
`),

  tab(`# 4 · 卡状态查询
# Card status

query CardStatus {
  cardStatus {
    ... on CardStatus {
${CARD_FIELDS}
      state
      stateName
    }
${REFUSAL}
  }
}
`),

  mutation(
    `# 5 · 获取验证码：每个用途各要一次。
# 各业务的标签页里点上方「获取验证码」，
# 会自动获取并填入。
# Verification code, one per purpose. In the
# tab of a service, "Get code" above asks
# for it and fills it in.
`,
    'sendVerificationCode',
    'VerificationCodeSent',
    `      maskedPhone
      expiresAt
      resendAfter`,
    { purpose: 'REPORT_LOSS', phone: '' },
  ),

  mutation(
    `# 6 · 挂失：正式挂失，不会自动失效。
# 点上方「获取验证码」，再运行。
# Report loss: formal, it does not lapse.
# "Get code" above, then run it.
`,
    'reportLoss',
    'LossReported',
    CARD_RESULT,
    { phone: '', code: '' },
  ),

  mutation(
    `# 7 · 解挂：卡找到了。申请补卡后不能解挂。
# 验证码用途 code purpose: CANCEL_LOSS
# Cancel loss: refused once a reissue is open.
`,
    'cancelLoss',
    'LossCancelled',
    CARD_RESULT,
    { phone: '', cardNumber: '', code: '' },
  ),

  tab(`# 8 · 制卡进度查询：六个业务节点依次办理。
# 人物 persona: in-production
# Production progress: six nodes in order.

query ProductionProgress {
  productionProgress {
    ... on ProductionProgress {
${PROGRESS_FIELDS}
      estimate {
        message
        basedOn
      }
    }
${REFUSAL}
  }
}
`),

  {
    query: `# 9 · 制卡进度直播：运行后保持打开，
# 到沙盒页的「发卡方工作台」推进一步。
# 断线后用最后的 cursor 作 after 续传。
# Live progress: leave it running, then
# advance the issuer on the sandbox page.
# After a lost connection, give the last
# cursor as "after".

subscription ProductionProgressLive($after: String) {
  productionProgress(after: $after) {
    cursor
    cardNumber
    changes {
      node
      result
      message
    }
    nodes {
      title
      resultTitle
      at
    }
  }
}
`,
    ...variables({ after: null }),
  },

  tab(`# 10 · 申办表单：草稿、预填、还缺什么。
# 标签和选项见 serviceForm(service: APPLY_CARD)。
# Application form: the draft, what was filled
# in, and what is still missing.

query ApplicationForm {
  applicationForm {
    ... on ApplicationForm {
      missing
      portrait {
        portraitId
        url
        confirmed
      }
      fields {
        name
        value
        source
        problem {
          code
          message
        }
      }
    }
${REFUSAL}
  }
}
`),

  mutation(
    `# 11 · 申办：人物 persona: no-card
# 先在沙盒页上传并确认照片和证件。
# 验证码用途 code purpose: APPLY_CARD
# Apply: upload portrait and ID document
# on the sandbox page first.
`,
    'applyCard',
    'CardApplied',
    APPLICATION_RESULT,
    {
      postalCode: '610000',
      socialInsuranceNumber: '',
      educationCode: '',
      occupationCode: '',
      bankCode: '',
      financialWithholding: false,
      pickupMethod: 'OUTLET',
      districtCode: '',
      outletCode: '',
      phone: '',
      code: '',
      nationalityCode: '',
      idDocumentType: '',
      idIssuer: '',
      idNumber: '',
      idValidUntil: 'LONG_TERM',
      name: '',
      genderCode: '',
      ethnicityCode: '',
      birthDate: '',
    },
  ),

  mutation(
    `# 12 · 激活：人物 persona: sealed
# 验证码用途 code purpose: ACTIVATE_CARD
# 新的服务密码随短信发出。
# Activate: a fresh service password
# comes by SMS.
`,
    'activateCard',
    'CardActivated',
    CARD_RESULT,
    { phone: '', cardNumber: '', code: '' },
  ),

  mutation(
    `# 13 · 服务密码变更：八位纯数字，
# 不能太简单。
# Change password: eight digits.
`,
    'changePassword',
    'PasswordChanged',
    '      at',
    { oldPassword: '', newPassword: '', confirmPassword: '' },
  ),

  mutation(
    `# 14 · 手机号码变更：验证码发到新手机。
# 验证码用途 code purpose: CHANGE_PHONE
# Change phone: the code goes to the new
# phone, and the old one is told.
`,
    'changePhone',
    'PhoneChanged',
    '      at',
    { newPhone: '', code: '' },
  ),

  mutation(
    `# 15 · 其他信息变更：只改填写了的项。
# Change contact: only what is given changes.
`,
    'changeContact',
    'ContactChanged',
    '      at',
    { landline: '02886666666', residentialPostalCode: '610000' },
  ),

  {
    query: `# 16 · 查询险种：在成都参加了哪些险种。
# 人物 persona: other-city
# Insurances enrolled in Chengdu.

query Insurances($cardNumber: String!) {
  insurances(cardNumber: $cardNumber) {
    ... on Insurances {
      items {
        type
        name
        enrolled
      }
    }
${REFUSAL}
  }
}
`,
    ...variables({ cardNumber: '' }),
  },

  mutation(
    `# 17 · 卡归属地转入：只转卡的归属地；
# 参保关系转入请咨询 028-12333。
# 验证码用途 code purpose: TRANSFER_IN
# Transfer in: the card's home region only.
`,
    'transferIn',
    'TransferredIn',
    `      card {
        cardNumber
        homeRegion
      }`,
    { cardNumber: '', insurances: ['PENSION'], phone: '', code: '' },
  ),

  {
    query: `# 18 · 领卡网点：按区县查找（510104 锦江区）。
# Pickup outlets of a district.

query Outlets($districtCode: String!, $bankCode: String) {
  outlets(districtCode: $districtCode, bankCode: $bankCode) {
    code
    name
    address
    bankCodes
  }
}
`,
    ...variables({ districtCode: '510104', bankCode: null }),
  },

  mutation(
    `# 19 · 补卡：已挂失的卡。人物 persona: lost
# 网点代码取自上一个标签页。
# 验证码用途 code purpose: REISSUE_CARD
# Reissue a lost card; outlet codes come
# from the tab before.
`,
    'reissueCard',
    'CardReissued',
    APPLICATION_RESULT,
    { pickupMethod: 'OUTLET', districtCode: '510104', outletCode: '', phone: '', code: '' },
  ),

  tab(`# 20 · 通知设置：短信、渠道消息各自能否收到。
# Notification settings: by SMS, in the app.

query NotificationSettings {
  notificationSettings {
    ... on NotificationSettings {
      items {
        notice
        title
        sms
        smsRequired
        channel
      }
    }
${REFUSAL}
  }
}
`),

  mutation(
    `# 21 · 通知设置变更：没写的保持原样；
# 涉及安全的短信不能关闭。
# Change them: what is left out stays;
# SMS about safety cannot be switched off.
`,
    'changeNotificationSettings',
    'NotificationSettingsChanged',
    `      at
      settings {
        items {
          title
          sms
          channel
        }
      }`,
    { settings: [{ notice: 'CARD_READY', sms: true, channel: false }] },
  ),

  tab(`# 22 · 退出：令牌立即失效。
# Sign out: the token ends at once.

mutation SignOut {
  signOut {
    ... on SignedOut {
      at
    }
${REFUSAL}
  }
}
`),

  {
    query: `# 23 · 服务表单：指南里的步骤、标签和按钮。
# 不需要登录 no session needed.
# The guide's words of any service.

query ServiceForm($service: CardService!) {
  serviceForm(service: $service) {
    title
    steps
    tips
    sections {
      title
      operation
      submitLabel
      fields {
        name
        label
        placeholder
        help
        type
        button {
          label
        }
      }
    }
  }
}
`,
    ...variables({ service: 'TRANSFER_IN' }),
  },
];
