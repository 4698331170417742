import { explorerPlugin } from '@graphiql/plugin-explorer';
import { GraphiQLProvider } from '@graphiql/react';
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQLInterface } from 'graphiql';
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

import '@graphiql/react/dist/style.css';
import '@graphiql/plugin-explorer/dist/style.css';
import 'graphiql/src/style.css';
import './playground.css';

import type { Persona } from '../sandbox/world';
import { keepAccessible } from './accessibility';
import { TABS } from './documents';
import { guidePlugin } from './guide';
import { PersonaBar } from './persona-bar';
import { channels, personas, type ChannelChoice } from './sandbox';

const endpoint = new URL('/graphql', location.href);
const liveEndpoint = new URL(endpoint);
liveEndpoint.protocol = endpoint.protocol.replace('http', 'ws');

// A tab's headers are also the connection parameters of its subscriptions.
const fetcher = createGraphiQLFetcher({ url: endpoint.href, subscriptionUrl: liveEndpoint.href });
let inSandbox = false;
const guide = guidePlugin(() => inSandbox);
const plugins = [guide, { ...explorerPlugin(), title: '字段勾选 · Explorer' }];

function Playground() {
  const [people, setPeople] = useState<Persona[]>([]);
  const [apps, setApps] = useState<ChannelChoice[]>([]);
  inSandbox = people.length > 0;

  useEffect(() => {
    void Promise.all([personas(), channels()]).then(([found, listed]) => {
      setApps(listed);
      setPeople(found);
    });
  }, []);

  // The headers hold the session token, so they are stored for this browser tab only.
  return (
    <GraphiQLProvider
      fetcher={fetcher}
      plugins={plugins}
      visiblePlugin={guide}
      storage={sessionStorage}
      defaultTabs={TABS}
      defaultHeaders="{}"
      shouldPersistHeaders
    >
      <PersonaBar personas={people} channels={apps} />
      <main className="playground-editor">
        <h1 className="visually-hidden">成都社保卡网关 GraphQL 调试台 · Card gateway playground</h1>
        <GraphiQLInterface defaultEditorToolsVisibility="variables" showPersistHeadersSettings={false} />
      </main>
    </GraphiQLProvider>
  );
}

const root = document.getElementById('playground')!;
keepAccessible(root);
createRoot(root).render(<Playground />);
