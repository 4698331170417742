import { useEditorContext, type GraphiQLPlugin } from '@graphiql/react';

import { flushSync } from 'react-dom';

import { TABS } from './documents';
import { operationIn } from './operation';

interface Step {
  operation: string;
  zh: string;
  en: string;
  persona?: string;
}

interface Chapter {
  zh: string;
  en: string;
  steps: Step[];
}

/** The ten services in the guide's order, between what comes before and after them. */
const CHAPTERS: Chapter[] = [
  {
    zh: '进来',
    en: 'Coming in',
    steps: [
      { operation: 'Channels', zh: '三个 App 的进入步骤', en: 'How to enter each app' },
      { operation: 'SignIn', zh: '登录', en: 'Sign in', persona: 'active' },
      { operation: 'Viewer', zh: '我是谁、能办什么', en: 'Who am I, and what can I do' },
    ],
  },
  {
    zh: '十项业务',
    en: 'The ten services',
    steps: [
      { operation: 'ApplicationForm', zh: '申办：表单', en: 'Apply: the form', persona: 'no-card' },
      { operation: 'ApplyCard', zh: '申办：提交', en: 'Apply: send it', persona: 'no-card' },
      { operation: 'ActivateCard', zh: '激活', en: 'Activate', persona: 'sealed' },
      { operation: 'ReportLoss', zh: '挂失', en: 'Report loss', persona: 'active' },
      { operation: 'CancelLoss', zh: '解挂', en: 'Cancel loss', persona: 'lost' },
      { operation: 'ChangePassword', zh: '服务密码变更', en: 'Change password', persona: 'active' },
      { operation: 'ChangePhone', zh: '信息变更：手机号码', en: 'Change phone', persona: 'active' },
      { operation: 'ChangeContact', zh: '信息变更：其他信息', en: 'Change contact', persona: 'active' },
      { operation: 'Insurances', zh: '卡归属地转入：查询险种', en: 'Transfer in: insurances', persona: 'other-city' },
      { operation: 'TransferIn', zh: '卡归属地转入：确认转移', en: 'Transfer in', persona: 'other-city' },
      { operation: 'Outlets', zh: '补卡：领卡网点', en: 'Reissue: outlets' },
      { operation: 'ReissueCard', zh: '补卡', en: 'Reissue', persona: 'lost' },
      { operation: 'ProductionProgress', zh: '制卡进度查询', en: 'Production progress', persona: 'in-production' },
      { operation: 'ProductionProgressLive', zh: '制卡进度直播', en: 'Progress, live', persona: 'in-production' },
      { operation: 'CardStatus', zh: '卡状态查询', en: 'Card status', persona: 'active' },
    ],
  },
  {
    zh: '其他',
    en: 'Besides',
    steps: [
      { operation: 'SendVerificationCode', zh: '获取验证码', en: 'Verification code' },
      { operation: 'NotificationSettings', zh: '通知设置', en: 'Notification settings' },
      { operation: 'ChangeNotificationSettings', zh: '通知设置变更', en: 'Change them' },
      { operation: 'SignOut', zh: '退出', en: 'Sign out' },
    ],
  },
];

/** Asks the bar above to sign in as somebody. */
export const SIGN_IN_AS = 'sign-in-as';

export function guidePlugin(withPersonas: () => boolean): GraphiQLPlugin {
  return {
    title: '导览 · Guide',
    icon: GuideIcon,
    content: () => <Guide withPersonas={withPersonas()} />,
  };
}

function GuideIcon() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
      <circle cx="12" cy="12" r="9" />
      <path d="M15.5 8.5l-2 5-5 2 2-5z" strokeLinejoin="round" />
    </svg>
  );
}

function Guide({ withPersonas }: { withPersonas: boolean }) {
  const { tabs, activeTabIndex } = useEditorContext({ nonNull: true });
  const openTab = useOpenTab();
  const current = operationIn(tabs[activeTabIndex]?.query);

  return (
    <section className="guide" aria-label="导览 · Guide">
      <div className="graphiql-doc-explorer-title">
        导览 <span lang="en">Guide</span>
      </div>
      {withPersonas && (
        <p>
          点步骤打开标签页；点人物即以其身份登录。
          <span lang="en">A step opens its tab; a persona signs in.</span>
        </p>
      )}
      {CHAPTERS.map(({ zh, en, steps }) => (
        <div key={en}>
          <h2>
            {zh} <span lang="en">{en}</span>
          </h2>
          <ol>
            {steps.map((step) => (
              <li key={step.operation}>
                <button
                  type="button"
                  className="guide-step"
                  aria-current={step.operation === current ? 'step' : undefined}
                  onClick={() => openTab(step.operation)}
                >
                  {step.zh} <span lang="en">{step.en}</span>
                </button>
                {withPersonas && step.persona && (
                  <button
                    type="button"
                    className="guide-persona"
                    title={`以 ${step.persona} 登录 · Sign in as ${step.persona}`}
                    onClick={() => {
                      openTab(step.operation);
                      document.dispatchEvent(new CustomEvent(SIGN_IN_AS, { detail: step.persona }));
                    }}
                  >
                    {step.persona}
                  </button>
                )}
              </li>
            ))}
          </ol>
        </div>
      ))}
    </section>
  );
}

/** Changes to the tab of an operation; opens it again where it was closed. */
function useOpenTab() {
  const { tabs, changeTab, addTab, queryEditor, variableEditor } = useEditorContext({ nonNull: true });

  return (operation: string) => {
    const index = tabs.findIndex(({ query }) => operationIn(query) === operation);
    if (index >= 0) return changeTab(index);
    const closed = TABS.find(({ query }) => operationIn(query) === operation);
    flushSync(addTab);
    queryEditor?.setValue(closed?.query ?? '');
    variableEditor?.setValue(closed?.variables ?? '');
  };
}
